#!/usr/bin/env python3
"""Temporary credentials from Ceph's STS, for tests: an issuer of web identities, and a role for them.

usage: sts.py ENDPOINT ACCESS_KEY SECRET_KEY FOLDER

Starts an OpenID Connect issuer on a free port of 127.0.0.1 (keys and certificate by the openssl
command, in FOLDER), registers it at the gateway, makes a role that whoever holds its tokens may
take and that may do everything with S3, and writes such a token, valid for an hour, to
FOLDER/token. Prints one line of JSON:

    {"role": ARN, "issuer": URL, "token": PATH, "session": what GetSessionToken answered}

Answers each line of its standard input with one line: `session` with other temporary keys of the
user; `session SECONDS` with keys that the gateway takes for so long only (its own least time is a
quarter of an hour, so the token is opened and closed again with the gateway's key: a negative number
makes one that has expired); `refuse` with `{}` after taking the role's permissions back, `allow`
after giving them again. It removes the role and the issuer, and ends, with its standard input.

The user is `test` of ceph-up.sh, with the capabilities `roles=*`, `oidc-provider=*` and
`user-policy=*`; the gateway needs `rgw s3 auth use sts`.
"""
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

ENDPOINT, ACCESS_KEY, SECRET_KEY, FOLDER = sys.argv[1:5]
REGION = "us-east-1"
# `rgw sts key` of ceph-up.sh, and the initial vector of all Ceph.
STS_KEY, STS_VECTOR = b"abcdefghijklmnop", b"cephsageyudagreg"


def call(service, **parameters):
    """One signed request (version 4 of the signature) and the elements of its answer by their names."""
    # Ceph takes a `+` for itself.
    body = urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote).encode()
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    host = urllib.parse.urlparse(ENDPOINT).netloc
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": host,
        "x-amz-content-sha256": digest,
        "x-amz-date": stamp,
    }
    names = ";".join(headers)
    canonical = "\n".join(["POST", "/", "", *(f"{k}:{v}" for k, v in headers.items()), "", names, digest])
    scope = f"{day}/{REGION}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (day, REGION, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    request = urllib.request.Request(ENDPOINT + "/", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as refused:
        if refused.code == 404 and parameters["Action"].startswith("Delete"):
            return {}
        raise SystemExit(f"{parameters['Action']}: {refused.code} {refused.read()!r}") from None
    found = {}
    if text.strip():
        for element in ElementTree.fromstring(text).iter():
            found.setdefault(element.tag.rsplit("}", 1)[-1], element.text)
    return found


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def session(seconds=None):
    answer = call("sts", Action="GetSessionToken", Version="2011-06-15")
    keys = {name: answer[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")}
    if seconds is not None:
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        end = end.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        cipher = ("enc", "-aes-128-cbc", "-K", STS_KEY.hex(), "-iv", STS_VECTOR.hex())
        opened = openssl(*cipher, "-d", data=base64.b64decode(keys["SessionToken"]))
        changed = opened.replace(keys["Expiration"].encode(), end.encode())
        if changed == opened:
            raise SystemExit("the session token does not say when it ends as it used to")
        keys["SessionToken"] = base64.b64encode(openssl(*cipher, data=changed)).decode()
        keys["Expiration"] = end
    return keys


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer(http.server.BaseHTTPRequestHandler):
    """Says where its keys are, and shows them."""

    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/.well-known/openid-configuration":
            body = {"issuer": issuer, "jwks_uri": issuer + "/keys"}
        else:
            body = {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "x5c": [self.server.certificate]}]}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def main():
    key, certificate = os.path.join(FOLDER, "issuer.key"), os.path.join(FOLDER, "issuer.crt")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=issuer for a test",
            "-keyout", key, "-out", certificate)
    der = openssl("x509", "-in", certificate, "-outform", "DER")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    server.certificate = base64.b64encode(der).decode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    issuer = "http://" + host

    iam = lambda action, **words: call("iam", Action=action, Version="2010-05-08", **words)
    provider = f"arn:aws:iam:::oidc-provider/{host}"
    iam("CreateOpenIDConnectProvider", **{
        "Url": issuer, "ClientIDList.member.1": "secchi",
        "ThumbprintList.member.1": hashlib.sha1(der).hexdigest().upper(),
    })
    role = f"secchi-{server.server_port}-{os.getpid()}"
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": [provider]}, "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringEquals": {f"{host}:app_id": "secchi"}},
    }, {
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/test"]}, "Action": ["sts:AssumeRole"],
    }]}
    made = iam("CreateRole", RoleName=role, Path="/", AssumeRolePolicyDocument=json.dumps(trust))
    rights = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]})
    allow = lambda: iam("PutRolePolicy", RoleName=role, PolicyName="all", PolicyDocument=rights)
    refuse = lambda: iam("DeleteRolePolicy", RoleName=role, PolicyName="all")
    try:
        allow()
        # Ceph lets nobody, not even for himself, have a session without a policy that says so. It stays.
        sessions = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:GetSessionToken", "Resource": "*"}]}
        iam("PutUserPolicy", UserName="test", PolicyName="sessions", PolicyDocument=json.dumps(sessions))
        now = int(time.time())
        claims = {"iss": issuer, "sub": "a scientist", "aud": "secchi", "client_id": "secchi",
                  "iat": now, "exp": now + 3600}
        signed = ".".join(unpadded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "1"}, claims))
        token = os.path.join(FOLDER, "token")
        with open(token, "w", encoding="ascii") as out:
            out.write(signed + "." + unpadded(openssl("dgst", "-sha256", "-sign", key, data=signed.encode())))
        print(json.dumps({"role": made["Arn"], "issuer": issuer, "token": token, "session": session()}), flush=True)
        # The test holds the other end: when it is gone, so are we.
        for line in sys.stdin:
            word, *rest = line.split()
            if word == "session":
                print(json.dumps(session(*map(float, rest))), flush=True)
            elif word in ("allow", "refuse"):
                {"allow": allow, "refuse": refuse}[word]()
                print("{}", flush=True)
    finally:
        for undo in (refuse, lambda: iam("DeleteRole", RoleName=role),
                     lambda: iam("DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=provider)):
            try:
                undo()
            except SystemExit as why:
                print(why, file=sys.stderr)


main()
