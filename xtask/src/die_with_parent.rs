//! Lets a child process end when this one does, however this one ends.

use std::process::Command;

/// After this, the process that `command` starts is killed when the thread that started it dies, also by
/// a signal that nobody can catch. Where the system has no such service nothing happens.
pub(crate) fn arm(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        let us = std::process::id();
        let ask = move || {
            // SAFETY: prctl(PR_SET_PDEATHSIG) takes numbers only, touches no memory of ours and is
            // async-signal-safe, as is getppid.
            let (done, parent) = unsafe {
                (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong), libc::getppid())
            };
            // We may have died before the request was made; then nobody would send the signal.
            let orphan = done == 0 && parent != us as libc::pid_t;
            if orphan { Err(std::io::ErrorKind::NotConnected.into()) } else { Ok(()) }
        };
        // SAFETY: the closure runs between fork and exec; it allocates nothing, takes no lock and makes
        // two system calls that are allowed there.
        unsafe { command.pre_exec(ask) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
