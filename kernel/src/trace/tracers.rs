//! `current_tracer`: who fills the rings besides events.
//!
//! One tracer is current. A change stops the old one, empties the rings as on Linux, and starts the new one; if that
//! fails, `nop` is current.
//!
//! A tracer may have options of its own. Their files are always there; `trace_options` knows those of the current one.

use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;

use super::{functions, graph, rings};
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
    /// Its options.
    pub(super) options: &'static [&'static TracerOption],
}

/// An option of a tracer; a `static`.
pub(super) struct TracerOption {
    /// Its name in the files.
    pub(super) name: &'static str,
    on: AtomicBool,
    /// Told of a change.
    changed: fn() -> Result<(), Errno>,
}

impl TracerOption {
    /// An option that starts on or off.
    pub(super) const fn new(name: &'static str, on: bool, changed: fn() -> Result<(), Errno>) -> Self {
        Self { name, on: AtomicBool::new(on), changed }
    }

    /// Is it on?
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Switches it.
    pub(super) fn set(&self, on: bool) -> Result<(), Errno> {
        let was = self.on.swap(on, Ordering::Relaxed);
        if was == on {
            return Ok(());
        }
        (self.changed)().inspect_err(|_| self.on.store(was, Ordering::Relaxed))
    }
}

static NOP: Tracer = Tracer { name: "nop", start: || Ok(()), stop: || (), options: &[] };

/// All there are, in the order in which they are listed.
static TRACERS: [&Tracer; 3] = [&graph::TRACER, &functions::TRACER, &NOP];

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

/// Is this the current tracer?
pub(super) fn is_current(tracer: &'static Tracer) -> bool {
    core::ptr::eq(*CURRENT.lock(), tracer)
}

/// The current tracer's name.
pub(super) fn current() -> &'static str {
    CURRENT.lock().name
}

/// The options of the current tracer.
pub(super) fn current_options() -> &'static [&'static TracerOption] {
    CURRENT.lock().options
}

/// The options of all tracers.
pub(super) fn all_options() -> impl Iterator<Item = &'static TracerOption> {
    TRACERS.iter().flat_map(|tracer| tracer.options.iter().copied())
}

/// Makes the tracer of this name the current one.
///
/// # Errors
/// EINVAL when there is none; what it says when it cannot start, and `nop` is current then.
pub(super) fn set_current(name: &str) -> Result<(), Errno> {
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
