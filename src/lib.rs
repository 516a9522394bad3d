//! tollgate decides, over gRPC, whether a request may pass.
//!
//! This is the table of contents, in reading order: from the values at the bottom to the rim.
//! Calls run one way, `grpc` → `limiter` (→ `rules`, a lookup) → `store` → `algorithm`, and plain
//! values come back. ARCHITECTURE.md has the map and what is deliberately absent where.

// Values: moments, windows of the calendar, alerts, offences, limits, identities, questions; and
// the lines of those who wait.
pub mod alert;
pub mod calendar;
pub mod guard;
pub mod key;
pub mod limit;
pub mod query;
pub mod queue;
pub mod time;

// The core: how use is measured, where it is kept, what applies, what the answer is, whom to tell.
pub mod algorithm;
pub mod answer;
pub mod directory;
pub mod limiter;
pub mod notify;
pub mod rules;
pub mod store;

// From files to rules.
pub mod config;

// One server: what it decides with, what people do to it, the services over both, the sockets.
pub mod audit;
pub mod gate;
pub mod grpc;
pub mod http;
pub mod quota;
pub mod server;
pub mod transport;

// The program: flags and commands.
pub mod cli;
pub mod settings;
