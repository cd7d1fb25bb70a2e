//! Moving bytes between this machine and stores: no screens, no job; testable alone.
//!
//! An upload is whole or not there: one put for a small file, an upload in parts that is completed at the end
//! (or aborted) for a larger one, conditional where nothing may be replaced, and proved afterwards by what
//! the server says of the object.

mod ahead;
mod copy;
mod delete;
mod digest;
mod download;
mod etag;
mod exists;
mod fate;
mod lanes;
mod media;
mod orphans;
mod pace;
mod parts;
mod plan;
mod resume;
mod room;
mod send;
mod source;
mod standing;
mod sync;
mod together;
mod upload;

pub use copy::{CopyRecord, CopyReport, CopySpec, copy};
pub use delete::{DeleteSpec, Deleted, Gone, Survey, Target, delete, keeps_versions, objects, survey};
pub use digest::{Checksum, Proof};
pub use download::{Check, DownloadSpec, Downloaded, Downloads, Refused, Trail, Why, download};
pub use exists::{Conflicts, IfExists, Verdict, taken};
pub use media::content_type;
pub use orphans::{AbortSpec, Claims, Orphan, abort_uploads, is_older, parse_age, unfinished};
pub use pace::{Pace, Place};
pub use plan::{Compare, Planner, Step, SyncSpec, Verb};
pub use resume::Resume;
pub use room::room;
pub use source::Source;
pub use sync::{Past, Synced, count_extras, sync};
pub use upload::{UploadSpec, Uploaded, upload};
