//! What `tollgate bench` is told: whom to load, with what, how hard and for how long.

use std::convert::Infallible;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Connections of one run: beyond it a machine has no ports left for one address.
const CONNECTIONS_MAX: u64 = 10_000;

/// Calls open at once on one connection: servers commonly allow fewer, and the rest then waits.
const IN_FLIGHT_MAX: u64 = 10_000;

/// The highest rate to ask for, in calls a second: more than a machine's network carries.
const RATE_MAX: f64 = 1e8;

/// The longest run, so that a slip of the hand does not load a server for a year.
const DURATION_MAX: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, Args)]
pub struct Bench {
    /// The descriptors of each call, such as 'key={key},plan=free'.
    ///
    /// A backslash before a comma, a brace or a backslash takes it as it is.
    #[arg(value_name = "DESCRIPTOR", required = true)]
    pub descriptors: Vec<String>,

    /// The domain that every call names.
    #[arg(long, value_name = "NAME")]
    pub domain: String,

    /// The server to load: host:port, or unix:/path of a socket.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub target: Target,

    /// A second server, loaded in alternating rounds with the first; prints ratios to it.
    #[arg(long, value_name = "ADDR")]
    pub compare: Option<Target>,

    /// How many rounds each of two servers is loaded for; each is a whole run.
    #[arg(long, value_name = "NUMBER", default_value = "5", requires = "compare")]
    pub rounds: NonZeroU32,

    /// How many hits each call takes.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub hits: NonZeroU32,

    /// How many different keys there are.
    #[arg(long, value_name = "NUMBER", default_value = "1000000")]
    pub keys: NonZeroU64,

    /// How keys are chosen.
    #[arg(long, value_name = "CHOICE", default_value = "uniform")]
    pub choice: Choice,

    /// Connections to the server.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "4",
        value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX)
    )]
    pub connections: u64,

    /// Calls that each connection keeps open; without --rate.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "50",
        conflicts_with = "rate",
        value_parser = clap::value_parser!(u64).range(1..=IN_FLIGHT_MAX)
    )]
    pub in_flight: u64,

    /// Calls a second to send, whether or not earlier ones were answered.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,

    /// How long to measure: 500ms, 10s or 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,

    /// How many calls to measure, instead of a time.
    #[arg(long, value_name = "NUMBER", conflicts_with = "duration")]
    pub requests: Option<NonZeroU64>,

    /// How long to load the server before measuring begins.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub warm_up: Duration,

    /// Threads that send; each has connections of its own, and keeps one core busy.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub threads: NonZeroUsize,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A server to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port.
    Tcp(String),
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = Infallible;

    /// Takes any text: only connecting shows whether somebody is there.
    fn from_str(text: &str) -> Result<Target, Infallible> {
        Ok(match text.strip_prefix("unix:") {
            Some(path) => Target::Unix(path.into()),
            None => Target::Tcp(text.strip_prefix("http://").unwrap_or(text).to_owned()),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(addr) => f.write_str(addr),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which of the keys a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// Each as often as any other.
    Uniform,
    /// The second half as often as the first, the third a third as often, and so on.
    Zipf,
    /// One after the other, from the first again after the last.
    InTurn,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.replace('_', "").parse().map_err(|_| "write a number, such as 20000")?;
    if 0.0 < rate && rate <= RATE_MAX {
        return Ok(rate);
    }
    Err(format!("it must be above 0 and at most {RATE_MAX}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let wrong = || "write a number and ms, s, m or h, such as 10s".to_owned();
    let split = UNITS.iter().find_map(|(unit, worth)| Some((text.strip_suffix(unit)?, *worth)));
    let (number, worth) = split.ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from_secs_f64(number * worth).map_err(|_| wrong())?;
    if DURATION_MAX < duration {
        return Err("a run is at most a day long".into());
    }
    Ok(duration)
}
