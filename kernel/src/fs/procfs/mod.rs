//! `/proc`: what the kernel knows of itself, as text.
//!
//! | file | made from |
//! |---|---|
//! | `cmdline version uptime mounts cpuinfo meminfo stat interrupts kallsyms` | `system.rs` |
//! | `<pid>/{status,stat,comm,cmdline,stack}`, `self` | `pid.rs` |
//! | `sys/kernel/sched_schedstats` | here |
//! | others | the rooms that know, through [`root`] |
//!
//! The formats are Linux's (`proc(5)`): a line that a program may look for has its name, its unit and its
//! place. What does not exist here (swap, a page cache, users) is left out, or is 0 where the column is needed.

mod pid;
mod sysrq;
mod system;

pub(crate) use system::BUILD;

use super::textfs::dir::Refusals;
use super::textfs::{Dir, Text};
use super::vfs;
use crate::sync::Once;
use crate::task::stats;
use alloc::sync::Arc;
use tracecore::errno::Errno;

static ROOT: Once<Arc<Dir>> = Once::new();

/// The root of procfs: for rooms that have something to tell.
pub(crate) fn root() -> &'static Arc<Dir> {
    ROOT.get_or_init(|| Dir::with(0o555, Refusals::PROCFS, Some(Arc::new(pid::Pids))))
}

/// Mounts it.
pub(crate) fn mount() -> Result<(), Errno> {
    system::add(root());
    pid::add(root());
    sysrq::add(root());
    let kernel = root().dir("sys", 0o555).dir("kernel", 0o555);
    kernel.file("sched_schedstats", Text::new(0o644).flag(stats::enabled, stats::set_enabled));
    vfs::mount("proc", "/proc", root().clone())
}
