//! Moving bytes between this machine and stores: no screens, no job; testable alone.
//!
//! An upload is whole or not there: one put for a small file, an upload in parts that is completed at the end
//! (or aborted) for a larger one, conditional where nothing may be replaced, and proved afterwards by what
//! the server says of the object.

mod digest;
mod exists;
mod media;
mod pace;
mod parts;
mod resume;
mod send;
mod source;
mod standing;
mod upload;

pub use digest::{Checksum, Proof};
pub use exists::{Conflicts, IfExists, Verdict, taken};
pub use media::content_type;
pub use pace::{Pace, Place};
pub use resume::Resume;
pub use source::Source;
pub use upload::{UploadSpec, Uploaded, upload};
