//! Tables read from anywhere, a piece at a time. What previews and conversions share.

pub(crate) mod csv;
