//! Flags and environment: the only reader of either.
//!
//! A flag outranks the environment, and that outranks the default. Flags that the interface has
//! and this release does not are known here, so that using one is an error that says so.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Decides, over gRPC, whether a request may pass: plans, quotas and rate limits for Envoy.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about)]
pub struct Settings {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve decisions until told to stop.
    ///
    /// SIGTERM and SIGINT drain: calls that were accepted are answered, then the process ends.
    /// SIGHUP reads the rules again; if they hold an error, those in force stay.
    Serve(Serve),

    /// Compile rules as the server does and say everything that is wrong with them.
    Check(Check),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// A rules file, or a directory whose *.yaml files are read in name order.
    #[arg(long, value_name = "PATH", required = true, num_args = 1.., env = "TOLLGATE_RULES")]
    pub rules: Vec<PathBuf>,

    /// Where gRPC is served.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081", env = "TOLLGATE_GRPC")]
    pub grpc: SocketAddr,

    /// How long calls in flight may take to end after SIGTERM, before they are cut.
    #[arg(long, value_name = "SECONDS", default_value = "10", env = "TOLLGATE_DRAIN_SECONDS")]
    pub drain_seconds: u32,

    /// A directory in which counters outlive the process; made if it is not there.
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA")]
    pub data: Option<PathBuf>,

    /// Counters with windows of at least this length are kept in the data directory.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "60",
        env = "TOLLGATE_DURABLE_FROM_SECONDS"
    )]
    pub durable_from_seconds: u32,

    /// How long to wait for another server to let go of the data directory.
    #[arg(long, value_name = "SECONDS", default_value = "60", env = "TOLLGATE_LOCK_WAIT_SECONDS")]
    pub lock_wait_seconds: u32,

    #[command(flatten)]
    not_yet: NotYet,
}

/// Flags of the interface that this release does not serve.
#[derive(Debug, Args)]
struct NotYet {
    #[arg(long, hide = true, env = "TOLLGATE_UDS", value_parser = not_yet("a Unix socket"))]
    uds: Option<String>,

    #[arg(long, hide = true, env = "TOLLGATE_HTTP", value_parser = not_yet("the HTTP side"))]
    http: Option<String>,

    #[arg(long, hide = true, env = "TOLLGATE_STORE", value_parser = not_yet("another store"))]
    store: Option<String>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Rules files, or directories whose *.yaml files are read in name order.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Log {
    /// What is logged: error, warn, info, debug; or by part, such as info,tollgate=debug.
    #[arg(
        id = "log",
        long = "log",
        global = true,
        value_name = "FILTER",
        default_value = "info",
        env = "TOLLGATE_LOG"
    )]
    pub filter: String,

    /// How log lines are written.
    #[arg(
        long = "log-format",
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        env = "TOLLGATE_LOG_FORMAT"
    )]
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Reads the command line and the environment; wrong usage ends with every reason clap gives.
pub fn read() -> Result<Settings, clap::Error> {
    Settings::try_parse()
}

fn not_yet(what: &'static str) -> impl clap::builder::TypedValueParser<Value = String> {
    use clap::builder::TypedValueParser as _;
    NonEmptyStringValueParser::new().try_map(move |_: String| -> Result<String, String> {
        Err(format!("{what} is not built yet; take this setting out"))
    })
}
