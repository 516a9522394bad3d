//! Flags and environment: the only reader of either.
//!
//! A flag outranks the environment, and that outranks the default. Flags that the interface has
//! and this release does not are known here, so that using one is an error that says so.

mod size;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

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

    /// Print the JSON Schema of rules files, for editors that complete and check YAML.
    ///
    /// With yaml-language-server: tollgate schema > rules.schema.json, and at the head of a rules
    /// file the line: # yaml-language-server: $schema=rules.schema.json
    Schema(Schema),

    /// Write the counters in a data directory to standard output, one to a line.
    ///
    /// May run beside a server. The first lines hold the secret that the counters are named
    /// under: keep what is exported as safe as the directory itself.
    Export(Export),

    /// Put exported counters into a data directory that no server uses.
    Import(Import),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// A rules file, or a directory whose *.yaml files are read in name order.
    ///
    /// Several are separated by spaces, or by colons as in a PATH.
    #[arg(
        long,
        value_name = "PATH",
        required = true,
        num_args = 1..,
        value_delimiter = ':',
        env = "TOLLGATE_RULES"
    )]
    pub rules: Vec<PathBuf>,

    /// Where gRPC is served.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8081",
        value_parser = addr,
        env = "TOLLGATE_GRPC"
    )]
    pub grpc: SocketAddr,

    /// Where people's side is served: health, metrics, usage and its mending, as JSON and gRPC.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = addr,
        env = "TOLLGATE_HTTP"
    )]
    pub http: SocketAddr,

    /// A file with the token that people's side asks for, of 16 characters or more.
    ///
    /// Read again when it changes. Without one, people's side serves on loopback alone; elsewhere
    /// only /healthcheck and /metrics answer.
    #[arg(long, value_name = "PATH", env = "TOLLGATE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Where changes that people make are written down, a line of JSON for each.
    ///
    /// By default audit.log in the data directory; without one, the log.
    #[arg(long, value_name = "PATH", env = "TOLLGATE_AUDIT_LOG")]
    pub audit_log: Option<PathBuf>,

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

    /// How much memory counters and notes may take: 512MiB, 2GiB, or a number of bytes.
    ///
    /// By default three quarters of what the machine has, or of what its control group may have.
    /// When it is used up, new keys share counters, and known ones go on as before.
    #[arg(long, value_name = "SIZE", value_parser = size::memory_bytes, env = "TOLLGATE_MAX_MEMORY")]
    pub max_memory: Option<u64>,

    /// How many threads serve calls; by default one for each core that the process may use.
    #[arg(long, value_name = "NUMBER", env = "TOLLGATE_THREADS")]
    pub threads: Option<NonZeroUsize>,

    /// Answer ShouldRateLimit ahead of the gRPC library, which costs half as much.
    ///
    /// Both ways answer alike; false is there for whoever has doubts about that.
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        action = clap::ArgAction::Set,
        env = "TOLLGATE_HOT_PATH"
    )]
    pub hot_path: bool,

    #[command(flatten)]
    not_yet: NotYet,
}

/// Flags of the interface that this release does not serve.
#[derive(Debug, Args)]
struct NotYet {
    #[arg(long, hide = true, env = "TOLLGATE_UDS", value_parser = not_yet("a Unix socket"))]
    uds: Option<String>,

    #[arg(
        long,
        hide = true,
        env = "TOLLGATE_STORE",
        value_parser = not_yet_but("a store other than memory", "memory")
    )]
    store: Option<String>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Rules files, or directories whose *.yaml files are read in name order.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Schema {
    /// Which files it describes.
    #[arg(value_name = "KIND", default_value = "rules")]
    pub of: Described,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Described {
    /// Rules files.
    Rules,
    /// Directory files in YAML.
    Directory,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The directory that a server was given with --data.
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA")]
    pub data: PathBuf,
}

#[derive(Debug, Args)]
pub struct Import {
    /// The directory that a server will be given with --data; made if it is not there.
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA")]
    pub data: PathBuf,

    /// What was exported; - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
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
        value_parser = filter,
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

/// Reads the command line and the environment. Wrong usage is told one mistake at a time, as
/// clap does it; rules files are where the many mistakes are, and those are told all at once.
pub fn read() -> Result<Settings, clap::Error> {
    Settings::try_parse()
}

fn not_yet(what: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone {
    not_yet_but(what, "")
}

/// Refuses all values but one, and none, as an empty variable in the environment gives.
fn not_yet_but(
    what: &'static str,
    good: &'static str,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |value| match value {
        "" => Ok(String::new()),
        value if value == good => Ok(value.to_owned()),
        _ => Err(format!("{what} is not built yet; take this setting out")),
    }
}

fn addr(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8081".into())
}

/// A bare word that is no level would name a part of the program, and silence all others.
fn filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for word in text.split(',').filter(|word| !word.contains(['=', '['])) {
        if !LEVELS.contains(&word.trim().to_lowercase().as_str()) {
            return Err(format!("`{word}` is none of {}", LEVELS.join(", ")));
        }
    }
    Ok(text.to_owned())
}
