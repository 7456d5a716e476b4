//! `current_tracer`: who fills the rings besides events.
//!
//! One tracer is current. A change stops the old one, empties the rings as on Linux, and starts the new one; if that
//! fails, `nop` is current.

use tracecore::errno::Errno;

use super::{functions, rings};
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::task::Mutex;

/// A tracer.
pub(super) struct Tracer {
    /// Its name in the files.
    pub(super) name: &'static str,
    /// Begins to record.
    pub(super) start: fn() -> Result<(), Errno>,
    /// Ends that; nothing of it runs any more when it returns.
    pub(super) stop: fn(),
}

static NOP: Tracer = Tracer { name: "nop", start: || Ok(()), stop: || () };

/// All there are, in the order in which they are listed.
static TRACERS: [&Tracer; 2] = [&functions::TRACER, &NOP];

static CURRENT: Mutex<&'static Tracer> = Mutex::new(&NOP);

pub(super) fn init() {
    let root = tracefs::tracefs();
    root.file(
        "available_tracers",
        Text::shown(0o440, |out| {
            for (at, tracer) in TRACERS.iter().enumerate() {
                let space = if at == 0 { "" } else { " " };
                write!(out, "{space}{}", tracer.name).map_err(|_| Errno::ENOMEM)?;
            }
            out.write_str("\n").map_err(|_| Errno::ENOMEM)
        }),
    );
    root.file(
        "current_tracer",
        Text::new(0o640)
            .show(|out| writeln!(out, "{}", current()).map_err(|_| Errno::ENOMEM))
            .store(set_current),
    );
}

/// The current tracer's name.
pub(super) fn current() -> &'static str {
    CURRENT.lock().name
}

fn set_current(name: &str) -> Result<(), Errno> {
    let next = TRACERS.into_iter().find(|tracer| tracer.name == name).ok_or(Errno::EINVAL)?;
    let mut current = CURRENT.lock();
    if core::ptr::eq(*current, next) {
        return Ok(());
    }
    (current.stop)();
    *current = &NOP;
    rings::reset(None);
    (next.start)()?;
    *current = next;
    Ok(())
}
