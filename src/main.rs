//! The program: runtime, logging, signals and exit codes. Nothing else ends the process.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tollgate::cli::serve::Signals;
use tollgate::cli::{check, serve};
use tollgate::settings::{self, Check, Command, Log, LogFormat, Serve};
use tracing_subscriber::EnvFilter;

/// Wrong usage, as clap and most programs number it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let settings = match settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            // Help and version arrive here too, and clap numbers them 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    if let Err(error) = log(&settings.log) {
        eprintln!("error: --log is not a filter: {error}");
        return ExitCode::from(USAGE);
    }
    match settings.command {
        Command::Serve(settings) => run_serve(&settings),
        Command::Check(settings) => run_check(&settings),
    }
}

fn run_check(settings: &Check) -> ExitCode {
    match check::run(settings) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(rejected) => {
            eprintln!("{rejected}");
            ExitCode::FAILURE
        }
    }
}

fn run_serve(settings: &Serve) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(async {
        let signals = signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
        serve::run(settings, signals).await.map_err(|error| error.to_string())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn log(log: &Log) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let colours = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        LogFormat::Text => lines.with_ansi(colours).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// SIGTERM and SIGINT stop, SIGHUP reloads.
fn signals() -> io::Result<Signals<impl Future<Output = ()>>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // One request waits while another is served; more would only read the same files again.
    let (asked, reload) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let _ = asked.try_send(());
        }
    });
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(Signals { stop, reload })
}
