//! The interactive loop: prompt, a line, run it.

use alloc::string::String;
use alloc::vec;
use sh::{Fed, Io, Shell};

/// Bytes of one read from the terminal.
const READ: usize = 256;

/// Runs lines until the shell or its input ends.
pub(super) fn run(shell: &mut Shell, console: &dyn Io) {
    let mut more = false;
    let mut pending = String::new();
    let mut buf = vec![0; READ];
    loop {
        let prompt = if more { String::from("> ") } else { super::prompt(&shell.ctx.cwd) };
        shell.ctx.print(&prompt);
        shell.ctx.flush();
        loop {
            if pending.ends_with('\n') {
                break;
            }
            match console.read(&mut buf) {
                Ok(0) => return,
                Ok(n) => pending.push_str(&String::from_utf8_lossy(&buf[..n])),
                Err(_) => {
                    pending.clear();
                    shell.forget_pending();
                    pending.push('\n');
                }
            }
        }
        match shell.feed(&pending) {
            Fed::Exited(_) => return,
            Fed::More => more = true,
            Fed::Ran(_) => more = false,
        }
        pending.clear();
    }
}
