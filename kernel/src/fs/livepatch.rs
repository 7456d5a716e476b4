//! `/sys/kernel/livepatch`: functions that can be replaced while they run.
//!
//! ```text
//!   NAME/enabled               0 or 1; writing the other one switches. EINVAL: it is so already. EBUSY: another patch has one of
//!                              its functions
//!   NAME/transition            0: which version a call runs is decided at its entry, so nobody is between the two
//!   NAME/vmlinux/patched       0 or 1
//!   NAME/vmlinux/FUNCTION,1/   a directory for each function: `1` says that no other has this name
//! ```
//!
//! Names and meaning are Linux's (`Documentation/ABI/testing/sysfs-kernel-livepatch`), but that a patch which was switched off
//! stays and can be switched on again.

use super::textfs::{Text, value};
use super::tracefs::sysfs_kernel;
use crate::ftrace::livepatch::Patch;
use crate::ksyms;
use alloc::format;
use tracecore::errno::Errno;

/// Adds the directory of a patch.
pub(crate) fn add(patch: &'static Patch) {
    let dir = sysfs_kernel().dir("livepatch", 0o755).dir(patch.name(), 0o755);
    let state = move |mode| {
        Text::shown(mode, move |out| writeln!(out, "{}", u8::from(patch.is_on())).map_err(|_| Errno::ENOMEM))
    };
    dir.file("enabled", state(0o644).write(move |data| switch(patch, data).map(|()| data.len())));
    dir.file("transition", Text::shown(0o444, |out| out.write_str("0\n").map_err(|_| Errno::ENOMEM)));
    let object = dir.dir("vmlinux", 0o755);
    object.file("patched", state(0o444));
    for function in patch.functions() {
        if let Some(symbol) = ksyms::by_addr(function.replaced()) {
            object.dir(&format!("{},1", symbol.name), 0o755);
        }
    }
}

fn switch(patch: &'static Patch, data: &[u8]) -> Result<(), Errno> {
    let (verb, done) = match value::onoff(data)? {
        true => ("enabled", patch.enable()),
        false => ("disabled", patch.disable()),
    };
    match done {
        Ok(()) => log::info!("livepatch: '{}' {verb}", patch.name()),
        Err(e) => log::warn!("livepatch: '{}' is not {verb}: {}", patch.name(), e.strerror()),
    }
    done
}
