//! `filter`: which records of an event are kept.
//!
//! ```text
//!   events/GROUP/EVENT/filter   an expression; `0` for none. Shows it, or what was wrong with it
//!   events/GROUP/filter         the same for every event of the group that has the fields
//! ```
//!
//! The compiled filter is published: a hit on any CPU runs the old one or the new one, whole, and a write returns when
//! none runs the old one any more. An expression that is refused leaves the event without a filter, as on Linux.
//!
//! An event that is muted (see [`events`](super::events)) keeps none of its records.
//!
//! Where all that a filter reads is known before there is room for the record, it is judged before. Else the record is
//! filled, judged, and if it is not wanted taken back before anyone could see it. Either way it is counted. So hits =
//! recorded + filtered + of a task that [`pids`](super::pids) does not want + refused by the ring.

use alloc::string::String;
use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;
use tracecore::event::Class;
use tracecore::filter::{ErrorKind, Filter, FilterError, MAX_EXPRESSION};

use super::counter::Counter;
use super::errors;
use super::names::Kernel;
use crate::fs::textfs::Text;
use crate::sync::{Pinned, Published};
use crate::task::Mutex;

/// Who speaks in `error_log`; Linux's name.
const SUBSYSTEM: &str = "event filter parse error";

/// What the file of a group shows.
const GROUP_HELP: &str = "### global filter ###
# A filter written here goes to every event of this group that has its fields.
# An event that has not shows an error and keeps all its records.
";

/// The filter of an event.
pub(super) struct EventFilter {
    active: Published<Filter>,
    /// What the file shows. Held while `active` is changed.
    shown: Mutex<String>,
    filtered: Counter,
    muted: AtomicBool,
}

impl EventFilter {
    /// No filter.
    pub(super) fn new() -> Self {
        Self {
            active: Published::empty(),
            shown: Mutex::new(String::from("none\n")),
            filtered: Counter::new(),
            muted: AtomicBool::new(false),
        }
    }

    /// The filter, if there is one.
    #[inline(always)]
    pub(super) fn active<'p>(&self, pin: &'p impl Pinned) -> Option<&'p Filter> {
        self.active.read(pin)
    }

    /// Is no record wanted?
    pub(super) fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Wants no record from here on, or those that pass the filter. Asked for while [`gate`](super::gate) guards.
    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// Counts a record that was not wanted; in a handler.
    #[inline(always)]
    pub(super) fn count(&self) {
        self.filtered.count();
    }

    /// The same where an interrupt may come in between.
    #[inline(always)]
    pub(super) fn count_anywhere(&self) {
        self.filtered.count_anywhere();
    }

    /// How many were not wanted.
    pub(super) fn filtered(&self) -> u64 {
        self.filtered.sum()
    }

    pub(super) fn show(&self, out: &mut dyn core::fmt::Write) -> Result<(), Errno> {
        out.write_str(&self.shown.lock()).map_err(|_| Errno::ENOMEM)
    }

    /// Takes an expression for records of `class`; `blame` says how a refusal is told.
    pub(super) fn set(
        &self,
        class: &Class,
        expression: &str,
        blame: impl FnOnce(FilterError) -> FilterError,
    ) -> Result<(), Errno> {
        let mut text = String::new();
        let (filter, result) = if expression.trim() == "0" {
            text.push_str("none\n");
            (None, Ok(()))
        } else {
            match Filter::compile(expression, class, &Kernel, &Kernel) {
                Ok(filter) => {
                    text = alloc::format!("{expression}\n");
                    (Some(alloc::boxed::Box::new(filter)), Ok(()))
                }
                Err(error) => {
                    let error = blame(error);
                    errors::push(SUBSYSTEM, error.kind.text(), expression.into(), error.column);
                    error.explain(expression, &mut text).map_err(|_| Errno::ENOMEM)?;
                    (None, Err(error.errno))
                }
            }
        };
        let mut shown = self.shown.lock();
        drop(self.active.replace(filter));
        *shown = text;
        result
    }
}

/// The text of a write.
fn expression(data: &[u8]) -> Result<&str, Errno> {
    if data.len() > MAX_EXPRESSION || data.contains(&0) {
        return Err(Errno::EINVAL);
    }
    Ok(core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?.trim_end())
}

/// The file of one event: `find` gives its class and its source.
pub(super) fn event_file(
    find: impl Fn() -> Result<super::events::Found, Errno> + Clone + Send + Sync + 'static,
) -> Text {
    let shown = find.clone();
    Text::new(0o640).show(move |out| shown()?.source.filter().show(out)).write(move |data| {
        let found = find()?;
        found.source.filter().set(&found.class, expression(data)?, |error| error)?;
        Ok(data.len())
    })
}

/// The file of a group: `all` gives its events. An event that refuses does not keep the others from taking it.
pub(super) fn group_file(
    all: impl Fn() -> alloc::vec::Vec<super::events::Found> + Send + Sync + 'static,
) -> Text {
    Text::new(0o640).show(|out| out.write_str(GROUP_HELP).map_err(|_| Errno::ENOMEM)).write(move |data| {
        let expression = expression(data)?;
        for found in all() {
            let blame = |_| FilterError::at(ErrorKind::NoEventTookIt, 0);
            // Told in its own file and in `error_log`; the write succeeds, as on Linux.
            let _ = found.source.filter().set(&found.class, expression, blame);
        }
        Ok(data.len())
    })
}
