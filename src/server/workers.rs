//! Threads that serve connections, each with a runtime of its own.
//!
//! A call is decided where its connection is read, so nothing of one is ever handed from thread to
//! thread. A connection goes to the thread that has fewest: proxies open few and keep them for
//! long, and the kernel's own spreading over sockets that share a port leaves some threads idle.

use std::io;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use crate::transport::{self, Desk, Drained, Listeners, Method, Served, Services};

/// All threads that serve connections.
pub struct Workers {
    desks: Vec<Desk>,
    /// What each thread has to say at its end: none if it panicked.
    ends: mpsc::UnboundedReceiver<Option<Drained>>,
}

/// Says at the end of a thread how it ended, however it does.
struct Leaving {
    drained: Option<Drained>,
    ends: mpsc::UnboundedSender<Option<Drained>>,
}

impl Leaving {
    fn having(&mut self, drained: Drained) {
        self.drained = Some(drained);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Whoever no longer listens has ended the process.
        let _ = self.ends.send(self.drained);
    }
}

impl Workers {
    /// Starts so many threads. They end some time after `stop` turns true, within `drain_deadline`.
    ///
    /// # Errors
    ///
    /// If the system has no thread or no file descriptor left for one.
    pub fn start<M: Method, S: Services>(
        threads: NonZeroUsize,
        served: &Served<M, S>,
        stop: &watch::Receiver<bool>,
        drain_deadline: Duration,
    ) -> io::Result<Workers> {
        let (leaving, ends) = mpsc::unbounded_channel();
        let mut desks = Vec::with_capacity(threads.get());
        for number in 0..threads.get() {
            let (desk, arriving) = transport::desk();
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let (served, stop) = (served.clone(), stop.clone());
            let mut leaving = Leaving { drained: None, ends: leaving.clone() };
            let work = move || {
                let work = transport::work(arriving, served, stop, drain_deadline);
                leaving.having(runtime.block_on(work));
            };
            thread::Builder::new().name(format!("calls-{number}")).spawn(work)?;
            desks.push(desk);
        }
        Ok(Workers { desks, ends })
    }

    /// Gives the threads what the listeners accept, until told to stop, and then waits for them.
    ///
    /// # Panics
    ///
    /// If one of the threads did.
    pub async fn serve(self, listeners: Listeners, stop: watch::Receiver<bool>) -> Drained {
        let Workers { desks, mut ends } = self;
        let mut drained = Drained { cut: 0 };
        let mut working = desks.len();
        let mut leave = |end: Option<Option<Drained>>| {
            let end = end.flatten().expect("no thread that serves connections panics");
            drained.cut += end.cut;
            working -= 1;
            working > 0
        };
        tokio::select! {
            () = transport::distribute(listeners, desks, stop) => {}
            end = ends.recv() => if !leave(end) { return drained },
        }
        while leave(ends.recv().await) {}
        drained
    }
}
