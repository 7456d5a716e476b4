//! `error_log`: the last refused commands, each with a caret under what is wrong.

use alloc::string::String;
use alloc::vec::Vec;

use tracecore::errno::Errno;
use tracecore::error_log::{Entry, ErrorLog};
use tracecore::probe::{ProbeError, command_text};

use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::{sync, time};

static LOG: sync::SpinLock<ErrorLog> = sync::SpinLock::new(ErrorLog::new());

/// Adds what there is to say of a refused line, and returns the number for the writer.
pub(super) fn refuse(subsystem: &'static str, line: &str, error: ProbeError) -> Errno {
    if let Some(blame) = error.log {
        push(subsystem, blame.kind.text(), command_text(line), blame.column);
    }
    error.errno
}

/// Adds an error.
pub(super) fn push(subsystem: &'static str, text: &'static str, command: String, column: usize) {
    LOG.lock().push(Entry { time_ns: time::now_ns(), subsystem, text, command, column });
}

pub(super) fn init() {
    tracefs::tracefs().file(
        "error_log",
        Text::new(0o640)
            .show(|out| {
                let mut text = Vec::new();
                LOG.lock().print(&mut text);
                out.write_str(&String::from_utf8_lossy(&text)).map_err(|_| Errno::ENOMEM)
            })
            .on_open(|how| {
                if how.truncate {
                    LOG.lock().clear();
                }
                Ok(())
            })
            .write(|data| Ok(data.len())),
    );
}
