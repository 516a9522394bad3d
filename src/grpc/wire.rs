//! The hot call's own codec: a query straight from a message's bytes, an answer straight into them.
//!
//! prost makes a value of each message first, with an allocation for each text of it; this makes
//! none. It reads and writes exactly what prost does on the way by `from_proto` and `to_proto`,
//! which remains the reference: `tests/wire.rs` holds the two against each other. What a call may
//! ask and what a verdict says stand in `asked` and `told`, for both ways.

mod fields;
mod key;
mod request;
mod response;
mod write;

pub use self::request::query;
pub use self::response::response;
