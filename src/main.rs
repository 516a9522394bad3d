//! The program: runtime, logging, signals and exit codes. Nothing else ends the process.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tollgate::cli::export::{self, Done};
use tollgate::cli::say::{complain, say};
use tollgate::cli::serve::Signals;
use tollgate::cli::{bench, check, schema, serve};
use tollgate::settings::{self, Bench, Check, Command, Log, LogFormat, Serve};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        complain(&format!("error: --log is not a filter: {error}"));
        return ExitCode::from(USAGE);
    }
    let done = match settings.command {
        Command::Serve(settings) => run_serve(&settings),
        Command::Check(settings) => run_check(&settings),
        Command::Schema(settings) => {
            say(&schema::run(&settings));
            Ok(())
        }
        Command::Export(settings) => told(export::export(&settings, io::stdout().lock())),
        Command::Import(settings) => told(export::import(&settings)),
        Command::Bench(settings) => run_bench(&settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

fn run_check(settings: &Check) -> Result<(), String> {
    let summary = check::run(settings).map_err(|rejected| rejected.to_string())?;
    say(&summary);
    Ok(())
}

/// Standard output is for what is exported, so what was done is told beside it.
fn told(done: Result<Done, export::Error>) -> Result<(), String> {
    let Done { summary, damage } = done.map_err(|error| error.to_string())?;
    damage.iter().for_each(|damage| complain(&format!("warning: the journal: {damage}")));
    complain(&summary);
    Ok(())
}

fn run_bench(settings: &Bench) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("error: cannot start: {error}"))?;
    // Where signals cannot be heard, a run still ends by itself.
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    let done = runtime.block_on(bench::run(settings, stop)).map_err(|error| error.to_string())?;
    say(&done.report);
    match done.silent {
        Some(target) => Err(format!("error: {target} answered none of the calls")),
        None => Ok(()),
    }
}

fn run_serve(settings: &Serve) -> Result<(), String> {
    // Calls have threads of their own; what is left is accepting, sweeping and reloading.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| format!("error: cannot start: {error}"))?;
    let served = runtime.block_on(async {
        let (signals, hurry) =
            signals().map_err(|error| format!("error: cannot listen for signals: {error}"))?;
        tokio::select! {
            served = serve::run(settings, signals) => served.map_err(|error| error.to_string()),
            () = hurry => Err("a second signal cut the drain short".into()),
        }
    });
    // Whatever still waits for a disk is not waited for.
    runtime.shutdown_background();
    served
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

/// SIGTERM and SIGINT stop, SIGHUP reloads. The second future ends when one who was told to stop
/// is told so again: somebody is out of patience.
fn signals() -> io::Result<(Signals<impl Future<Output = ()>>, impl Future<Output = ()>)> {
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
    let (stopping, mut stopped) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopping.send_modify(|times| *times += 1);
        }
    });
    let mut again = stopped.clone();
    // The sender lives as long as the runtime, so waiting cannot fail before the program ends.
    let stop = async move { drop(stopped.wait_for(|&times| 1 <= times).await) };
    let hurry = async move { drop(again.wait_for(|&times| 2 <= times).await) };
    Ok((Signals { stop, reload }, hurry))
}
