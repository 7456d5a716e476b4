//! Tests of the shell on this kernel: what `crates/sh` cannot test on the host.

use super::{io, jobs, programs, sys};
use crate::fs::vfs::{self, How};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};
use crate::sync::SpinLock;
use crate::{fs, time};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use sh::{Ctx, Io, Programs, Shell, Sys, Task};
use tracecore::errno::Errno;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "status_of_lines", run: status_of_lines },
    Test { name: "redirections", run: redirections },
    Test { name: "pipelines", run: pipelines },
    Test { name: "substitutions_nested_to_the_limit", run: substitutions_nested_to_the_limit },
    Test { name: "calls_nested_to_the_limit", run: calls_nested_to_the_limit },
    Test { name: "kill_ends_a_wait", run: kill_ends_a_wait },
    Test { name: "task_status_and_files", run: task_status_and_files },
    Test { name: "xray_refuses", run: xray_refuses },
];

/// Where the shells under test write.
const OUTPUT: &str = "/tmp/selftest-shell";

/// Runs a text in a shell of its own, on a stack of its own: its status, and both its streams.
fn run(text: &str) -> Result<(i32, String), Errno> {
    let text = text.to_string();
    let result = Arc::new(SpinLock::new(None));
    let slot = result.clone();
    let task = jobs::spawn(
        "sh",
        Box::new(move || {
            let ran = run_here(&text);
            *slot.lock() = Some(ran);
            0
        }),
    )?;
    task.wait()?;
    let ran = result.lock().take();
    ran.unwrap_or(Err(Errno::ECHILD))
}

fn run_here(text: &str) -> Result<(i32, String), Errno> {
    let write = How { read: false, write: true, create: true, append: true, ..How::READ };
    let open =
        |path, how| -> Result<Arc<dyn Io>, Errno> { Ok(Arc::new(io::FileIo(vfs::open("/", path, how)?))) };
    let output = open(OUTPUT, write)?;
    let programs = Programs::with(&[programs::PROGRAMS]);
    let ctx =
        Ctx::new(Arc::new(sys::Kernel), programs, open("/dev/null", How::READ)?, output.clone(), output);
    let mut shell = Shell::new(ctx);
    let status = shell.run_text(text);
    drop(shell);
    let said = super::read_text(OUTPUT);
    vfs::unlink("/", OUTPUT)?;
    Ok((status, said?))
}

fn status_of_lines(t: &mut TestCtx<'_>) -> TestResult {
    for (text, status) in
        [("true", 0), ("false", 1), ("nosuch", 127), ("exit 3", 3), ("false; true", 0), ("if", 2)]
    {
        check_eq!(t, run(text).map(|r| r.0), Ok(status), "{text}");
    }
    for (status, byte) in [(0, 0), (1, 1), (130, 130), (256, 1), (-1, 255)] {
        check_eq!(t, super::status_byte(status), byte);
    }
    Ok(())
}

fn redirections(t: &mut TestCtx<'_>) -> TestResult {
    let text = "cd /tmp\necho one > rd\necho two >> rd\ncat < rd\ncat nosuch 2> err\ncat err\nrm rd err\n";
    let said = "one\ntwo\ncat: nosuch: No such file or directory\n".to_string();
    check_eq!(t, run(text), Ok((0, said)));
    let (status, said) = run("echo x > /proc/version").unwrap_or_default();
    check!(t, status != 0 && said.contains("Input/output error"), "{status}: {said}");
    let (status, said) = run("echo x > /sys/kernel/tracing/nosuch").unwrap_or_default();
    check!(t, status != 0 && said.contains("Permission denied"), "{status}: {said}");
    Ok(())
}

fn pipelines(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, run("echo a b c | tr ' ' '\\n' | wc -l"), Ok((0, "3\n".to_string())));
    // The writer never ends by itself; nobody reading is what ends it.
    check_eq!(t, run("while true; do echo y; done | head -n 2"), Ok((0, "y\ny\n".to_string())));
    // More than a pipe holds.
    check_eq!(t, run("seq 1 20000 | tail -n 1"), Ok((0, "20000\n".to_string())));
    Ok(())
}

fn substitutions_nested_to_the_limit(t: &mut TestCtx<'_>) -> TestResult {
    // Each is a task with a stack of its own.
    let nested = |n: usize| format!("echo {}deep{}", "$(echo ".repeat(n), ")".repeat(n));
    check_eq!(t, run(&nested(6)), Ok((0, "deep\n".to_string())));
    let (status, said) = run(&nested(40)).unwrap_or_default();
    check!(t, status != 0 || said != "deep\n", "{status}: {said}");
    Ok(())
}

fn calls_nested_to_the_limit(t: &mut TestCtx<'_>) -> TestResult {
    // One stack carries all of it: what has no bound in the text has one in the shell.
    let (status, said) = run("f() { f; }\nf").unwrap_or_default();
    check!(t, status != 0 && !said.is_empty(), "{status}: {said}");
    check_eq!(
        t,
        vfs::open("/", "/tmp/again", How::REPLACE).and_then(|f| f.write_all(b"sh /tmp/again\n")),
        Ok(())
    );
    let (status, said) = run("sh /tmp/again").unwrap_or_default();
    check!(t, status != 0 && !said.is_empty(), "{status}: {said}");
    check_eq!(t, vfs::unlink("/", "/tmp/again"), Ok(()));
    let brackets = format!("echo $(({}1{}))", "(".repeat(400), ")".repeat(400));
    let (status, _) = run(&brackets).unwrap_or_default();
    check!(t, status != 0);
    let ifs = format!("{}true; {}", "if true; then ".repeat(200), "fi; ".repeat(200));
    let (status, _) = run(&ifs).unwrap_or_default();
    check!(t, status != 0);
    Ok(())
}

fn kill_ends_a_wait(t: &mut TestCtx<'_>) -> TestResult {
    const LONG_NS: u64 = 3600 * time::NS_PER_S;
    let kernel = sys::Kernel;
    let (reader, _writer) = kernel.pipe().map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    let waits: [Box<dyn FnOnce() -> Errno + Send>; 2] = [
        Box::new(|| jobs::sleep_ns(LONG_NS).err().unwrap_or(Errno::EINVAL)),
        Box::new(move || reader.read(&mut [0]).err().unwrap_or(Errno::EINVAL)),
    ];
    for wait in waits {
        let body = move || i32::from(wait() == Errno::EINTR) + i32::from(jobs::pending_signal().unwrap_or(0));
        let task = jobs::spawn("sleeper", Box::new(body));
        let task = task.map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
        check_eq!(t, task.try_wait(), None);
        check_eq!(t, kernel.kill(task.pid(), 0), Ok(()));
        check_eq!(t, kernel.kill(task.pid(), 15), Ok(()));
        check_eq!(t, task.wait(), Ok(1 + 15));
    }
    check_eq!(t, kernel.kill(u32::MAX, 15), Err(Errno::ESRCH));
    check_eq!(t, kernel.kill(kernel.pid(), 65), Err(Errno::EINVAL));
    check_eq!(t, kernel.kill(kernel.pid(), 19), Err(Errno::ENOSYS));
    Ok(())
}

fn task_status_and_files(t: &mut TestCtx<'_>) -> TestResult {
    let (reader, writer) = fs::pipe::pipe().map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    let task = jobs::spawn("writer", Box::new(move || i32::from(writer.write_all(b"x").is_err()) + 7));
    check_eq!(t, task.as_ref().map(Task::wait), Ok(Ok(7)).as_ref().copied());
    // The task has ended, so its end of the pipe is closed.
    let mut seen = Vec::new();
    let mut buf = [0; 8];
    while let Ok(n @ 1..) = reader.read(&mut buf) {
        seen.extend_from_slice(&buf[..n]);
    }
    check_eq!(t, seen, b"x");
    Ok(())
}

fn xray_refuses(t: &mut TestCtx<'_>) -> TestResult {
    let rows = [
        ("xray", 2),
        ("xray work_add 0", 2),
        ("xray work_add 5000", 2),
        ("xray work_add x", 2),
        ("xray nosuch", 1),
        ("xray work_add+2", 1),
        ("xray work_add+0xffffffffffffffff", 1),
        ("xray 0x1000", 1),
        ("xray 0xffff000040000000", 1),
        ("xray work_add+0x8 1", 0),
    ];
    for (text, status) in rows {
        check_eq!(t, run(text).map(|r| r.0), Ok(status), "{text}");
    }
    let (_, said) = run("xray work_add").unwrap_or_default();
    check!(t, said.lines().count() >= 3 && said.contains("work_add+0x4"), "{said}");
    Ok(())
}
