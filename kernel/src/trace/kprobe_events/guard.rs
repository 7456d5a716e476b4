//! The Rust way to an event: a guard whose life is the probe's.

use tracecore::errno::Errno;
use tracecore::probe::ProbeError;

use super::{SUBSYSTEM, book, define_any};

/// A probe that a line has defined and that lives as long as this does.
///
/// ```ignore
/// let probe = EventProbe::define("p:lab/add work_add+8 a=%x0")?;
/// probe.enable()?;
/// // Hits are records in the trace, like those of a probe that a user has typed, and the event's files are there.
/// drop(probe);
/// ```
///
/// It is listed in `dynamic_events`, but a user cannot remove it: that is answered with EBUSY.
#[derive(Debug)]
pub(crate) struct EventProbe(u64);

impl EventProbe {
    /// Defines a probe by a line of `dynamic_events`, off.
    ///
    /// # Errors
    /// What is wrong with the line, and where; EINVAL for one that defines nothing.
    pub(crate) fn define(line: &str) -> Result<Self, ProbeError> {
        define_any(line, true)?.map(Self).ok_or(ProbeError::silent(Errno::EINVAL))
    }

    /// Switches the event on, with all its probes.
    pub(crate) fn enable(&self) -> Result<(), Errno> {
        book::switch(self.0, true)
    }

    /// Switches the event off, with all its probes. Handlers that have begun may still be running when this returns.
    pub(crate) fn disable(&self) -> Result<(), Errno> {
        book::switch(self.0, false)
    }

    /// Hits that ran the handler, and hits that did not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        book::counts(self.0)
    }
}

impl Drop for EventProbe {
    /// Removes the probe; with the last of its event the event, which is switched off for that.
    fn drop(&mut self) {
        if let Err(e) = book::release(self.0) {
            log::error!("{SUBSYSTEM}: a probe stays: {}", e.strerror());
        }
    }
}
