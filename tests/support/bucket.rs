//! A bucket of a gateway that is emptied and removed at its end.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use super::support::Ceph;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};

/// Made with another client than secchi's own.
pub struct Bucket {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// Its name.
    pub name: String,
}

impl Bucket {
    /// A new one.
    pub fn new(ceph: &Ceph) -> Self {
        let bucket = Self::again(ceph, &format!("secchi-cli-{}", ulid::Ulid::new().to_string().to_lowercase()));
        let made = bucket.client.create_bucket().bucket(&bucket.name).send();
        bucket.runtime.block_on(made).expect("a bucket");
        bucket
    }

    /// One that is there.
    pub fn again(ceph: &Ceph, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(&ceph.key, &ceph.secret, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(&ceph.endpoint)
            .force_path_style(true)
            .build();
        Self { runtime: runtime.expect("a runtime"), client: Client::from_conf(config), name: name.to_owned() }
    }

    /// `s3://bucket/key`
    pub fn at(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Has it keep versions from now on.
    pub fn keep_versions(&self) {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let wish = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.client.put_bucket_versioning().bucket(&self.name).versioning_configuration(wish);
        self.runtime.block_on(put.send()).expect("keeps versions");
    }

    /// Writes an object.
    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let put = self.client.put_object().bucket(&self.name).key(key).body(bytes.into().into());
        self.runtime.block_on(put.send()).unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
    }

    /// The bytes of an object; `None` where there is none.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let get = self.client.get_object().bucket(&self.name).key(key);
        let got = self.runtime.block_on(async { Some(get.send().await.ok()?.body.collect().await.expect("reads")) });
        got.map(aws_sdk_s3::primitives::AggregatedBytes::to_vec)
    }

    /// All keys.
    pub fn keys(&self) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(&self.name);
        let listed = self.runtime.block_on(list.send()).expect("lists");
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    /// Uploads under way, or left behind: key, and number of parts.
    pub fn uploads(&self) -> Vec<(String, usize)> {
        self.runtime.block_on(async {
            let listed = self.client.list_multipart_uploads().bucket(&self.name).send().await.expect("lists");
            let mut found = Vec::new();
            for upload in listed.uploads() {
                let key = upload.key().unwrap_or_default();
                let id = upload.upload_id().unwrap_or_default();
                let parts = self.client.list_parts().bucket(&self.name).key(key).upload_id(id).send().await;
                found.push((key.to_owned(), parts.map_or(0, |parts| parts.parts().len())));
            }
            found
        })
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Whatever failed: this must not be the second panic.
        self.runtime.block_on(async {
            if let Ok(listed) = self.client.list_objects_v2().bucket(&self.name).send().await {
                for key in listed.contents().iter().filter_map(|object| object.key()) {
                    let _ = self.client.delete_object().bucket(&self.name).key(key).send().await;
                }
            }
            if let Ok(listed) = self.client.list_multipart_uploads().bucket(&self.name).send().await {
                for upload in listed.uploads() {
                    let (key, id) = (upload.key().unwrap_or_default(), upload.upload_id().unwrap_or_default());
                    let abort = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(id);
                    let _ = abort.send().await;
                }
            }
            let _ = self.client.delete_bucket().bucket(&self.name).send().await;
        });
    }
}
