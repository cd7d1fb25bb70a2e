//! What has become of an upload in parts that a killed attempt left, and that could not go on.
//!
//! A program that is killed while its upload is being completed leaves a server that is still at it: the upload is
//! gone (Ceph, Amazon: `NoSuchUpload`; s3s-fs denies access to it, resets whoever sends it a part, and lists fewer
//! and fewer parts of it), and what it makes may come to stand a little later. Which failure that causes depends on
//! the moment. So whatever the failure, it is looked at what stands, and then at whether the upload is as it was left.

use crate::error::{Error, Kind, Result};
use crate::store::StoreHandle;
use crate::task::Control;
use std::time::Duration;

/// How long it is waited at last, after half of it and so on, for what a server is still putting together: it reads
/// and writes the whole object where parts are files.
const LAST: Duration = Duration::from_secs(4);
/// How long it is waited at first.
const FIRST: Duration = Duration::from_millis(250);

/// An upload that was left.
pub(super) struct Left<'a> {
    pub(super) handle: &'a StoreHandle,
    pub(super) key: &'a str,
    pub(super) id: &'a str,
    /// Numbers of the parts that the server had taken.
    pub(super) parts: Vec<u32>,
}

/// What has become of it.
pub(super) enum Fate<T> {
    /// It was completed: this stands.
    Ours(T),
    /// There is nothing to go on with.
    Gone,
    /// It may be there still: the failure is to be told.
    Stands,
}

/// Whether an upload is as it was left.
enum State {
    There,
    /// All that is known is there, and yet it is refused.
    Doubtful,
    /// It is gone, or some of it: what failed will fail again.
    Gone,
    /// No server completes it behind our back.
    Alone,
}

impl Left<'_> {
    /// Whether it is as it was left.
    async fn state(&self, err: &Error) -> State {
        match self.handle.parts_sent(self.key, self.id).await {
            Ok(there) if self.parts.iter().any(|number| !there.iter().any(|part| part.number == *number)) => {
                State::Gone
            }
            Ok(there) if there.is_empty() => State::Gone,
            // Before it has put the first part in its place, s3s-fs lists them all.
            Ok(_) if err.kind() == Kind::Denied => State::Doubtful,
            Err(why) if why.kind() == Kind::Unsupported => State::Alone,
            Err(why) if matches!(why.kind(), Kind::NotFound | Kind::Denied) => State::Gone,
            Ok(_) | Err(_) => State::There,
        }
    }
}

/// Finds out what has become of an upload that could not go on for `err`; `ours` looks at what stands.
pub(super) async fn fate<T, F>(control: &Control, left: &Left<'_>, err: &Error, ours: impl Fn() -> F) -> Fate<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    if matches!(err.kind(), Kind::Cancelled | Kind::Changed) {
        return Fate::Stands;
    }
    let mut pause = FIRST;
    loop {
        match ours().await {
            Ok(Some(found)) => return Fate::Ours(found),
            Ok(None) => {}
            Err(_) => return Fate::Stands,
        }
        // Its parts are refused, or are not what the source holds.
        if err.kind() == Kind::Invalid {
            return Fate::Gone;
        }
        // What stands there and is another's would be in the way of all that is sent again.
        let is_worth_it = err.kind() != Kind::Exists;
        match left.state(err).await {
            State::There => return Fate::Stands,
            State::Alone => return if err.kind() == Kind::NotFound { Fate::Gone } else { Fate::Stands },
            State::Gone if pause > LAST && is_worth_it => return Fate::Gone,
            State::Gone | State::Doubtful if pause > LAST => return Fate::Stands,
            State::Gone | State::Doubtful => {}
        }
        control.step("looking whether the server is completing it");
        let wait = async {
            tokio::time::sleep(pause).await;
            Ok::<_, Error>(())
        };
        if control.race(wait).await.is_err() {
            return Fate::Stands;
        }
        pause *= 2;
    }
}
