//! The tree of `/sys/kernel`: tracefs and debugfs.
//!
//! This room makes the directories; what is in them is handed in by the rooms that know, once, at boot or
//! whenever it changes:
//!
//! ```text
//!   /sys/kernel/tracing/              tracefs()                   README, trace, kprobe_events, …
//!                       events/       .dir("events")              one directory per group, one per event in it
//!                       options/      .dir("options")
//!                       per_cpu/cpuN/ .dir("per_cpu")
//!   /sys/kernel/debug/                debugfs()
//!                     kprobes/        .dir("kprobes")             list, blacklist, enabled
//!                     tracing/        the same tree as above
//! ```
//!
//! Beside them lie `livepatch`, in [`sysfs_kernel`], and `/sys/fs/bpf`.
//!
//! Files are [`Text`](super::textfs::Text); directories are [`Dir`].

use super::textfs::Dir;
use super::textfs::dir::Refusals;
use super::vfs;
use crate::sync::Once;
use alloc::sync::Arc;
use tracecore::errno::Errno;

static TRACEFS: Once<Arc<Dir>> = Once::new();
static DEBUGFS: Once<Arc<Dir>> = Once::new();
static SYSFS_KERNEL: Once<Arc<Dir>> = Once::new();

/// The root of tracefs.
pub(crate) fn tracefs() -> &'static Arc<Dir> {
    TRACEFS.get_or_init(|| Dir::new(0o700, Refusals::TRACEFS))
}

/// The root of debugfs.
pub(crate) fn debugfs() -> &'static Arc<Dir> {
    DEBUGFS.get_or_init(|| Dir::new(0o700, Refusals::TRACEFS))
}

/// `/sys/kernel`.
pub(crate) fn sysfs_kernel() -> &'static Arc<Dir> {
    SYSFS_KERNEL.get_or_init(|| Dir::new(0o755, Refusals::TRACEFS))
}

/// Mounts both, and makes the directories of sysfs that they lie in.
pub(crate) fn mount() -> Result<(), Errno> {
    let sys = Dir::new(0o755, Refusals::TRACEFS);
    let kernel = sysfs_kernel();
    sys.add("kernel", kernel.clone());
    kernel.dir("tracing", 0o755);
    kernel.dir("debug", 0o755);
    sys.dir("fs", 0o755).dir("bpf", 0o700);
    vfs::mount("sysfs", "/sys", sys)?;
    vfs::mount("bpf", super::bpffs::ROOT, super::bpffs::root())?;
    vfs::mount("debugfs", "/sys/kernel/debug", debugfs().clone())?;
    vfs::mount("tracefs", "/sys/kernel/tracing", tracefs().clone())?;
    debugfs().add("tracing", tracefs().clone());
    Ok(())
}
