//! Tests of the tree, its files and the pipes, in the running kernel.

use super::cpio;
use super::textfs::{Out, Text, dir::Refusals};
use super::vfs::{self, How, Kind, Node, OpenFile, Whence};
use super::{devfs, initramfs, pipe, procfs, ramfs, textfs, tracefs, tty};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq};
use crate::sync::SpinLock;
use crate::task;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use tracecore::errno::Errno;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "vfs_errnos", run: vfs_errnos },
    Test { name: "vfs_walk", run: vfs_walk },
    Test { name: "open_flags", run: open_flags },
    Test { name: "seek", run: seek },
    Test { name: "ramfs_is_bounded", run: ramfs_is_bounded },
    Test { name: "ramfs_pages_and_holes", run: ramfs_pages_and_holes },
    Test { name: "open_files_are_bounded", run: open_files_are_bounded },
    Test { name: "initramfs_malformed", run: initramfs_malformed },
    Test { name: "devices", run: devices },
    Test { name: "text_snapshot", run: text_snapshot },
    Test { name: "text_pieces", run: text_pieces },
    Test { name: "text_write_splits_lines", run: text_write_splits_lines },
    Test { name: "read_only_files_refuse", run: read_only_files_refuse },
    Test { name: "proc_formats", run: proc_formats },
    Test { name: "tty_lines", run: tty_lines },
    Test { name: "pipe_ends", run: pipe_ends },
    Test { name: "pipe_between_tasks", run: pipe_between_tasks },
];

/// A directory of its own for each test, gone when the test is over.
struct Scratch(String);

impl Scratch {
    fn new(t: &mut TestCtx<'_>, name: &str) -> Result<Self, Stop> {
        let path = format!("/tmp/{name}");
        check_eq!(t, vfs::mkdir("/", &path), Ok(()));
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    fn put(&self, name: &str, text: &str) -> Result<(), Errno> {
        vfs::open("/", &self.path(name), How::REPLACE)?.write_all(text.as_bytes())
    }

    fn get(&self, name: &str) -> Result<String, Errno> {
        read_all(&self.path(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for entry in vfs::readdir("/", &self.0).unwrap_or_default() {
            let path = self.path(&entry.name);
            let _ =
                if entry.stat.kind == Kind::Dir { vfs::rmdir("/", &path) } else { vfs::unlink("/", &path) };
        }
        let _ = vfs::rmdir("/", &self.0);
    }
}

fn drain(file: &OpenFile) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut buf = [0; 100];
    loop {
        match file.read(&mut buf)? {
            0 => return String::from_utf8(bytes).map_err(|_| Errno::EILSEQ),
            n => bytes.extend_from_slice(&buf[..n]),
        }
    }
}

fn read_all(path: &str) -> Result<String, Errno> {
    drain(&*vfs::open("/", path, How::READ)?)
}

/// The errno of opening `path`, or of reading it where opening works.
fn open_errno(path: &str, how: How) -> Option<Errno> {
    vfs::open("/", path, how).err()
}

fn vfs_errnos(t: &mut TestCtx<'_>) -> TestResult {
    let dir = Scratch::new(t, "errnos")?;
    check_eq!(t, dir.put("f", "text"), Ok(()));
    check_eq!(t, vfs::mkdir("/", &dir.path("d")), Ok(()));
    check_eq!(t, vfs::mkdir("/", &dir.path("d/e")), Ok(()));
    let long = "n".repeat(256);
    let deep = "/x".repeat(2048);
    let excl = How { exclusive: true, ..How::REPLACE };
    let only_dir = How { directory: true, ..How::READ };
    let opens = [
        ("", How::READ, Errno::ENOENT),
        ("/nosuch", How::READ, Errno::ENOENT),
        ("/nosuch/x", How::REPLACE, Errno::ENOENT),
        ("/tmp/errnos/f/x", How::READ, Errno::ENOTDIR),
        ("/tmp/errnos/f/", How::READ, Errno::ENOTDIR),
        ("/tmp/errnos/new/", How::REPLACE, Errno::EISDIR),
        ("/tmp/errnos/d", How::REPLACE, Errno::EISDIR),
        ("/tmp/errnos/f", excl, Errno::EEXIST),
        ("/tmp/errnos/f", only_dir, Errno::ENOTDIR),
        (&long, How::READ, Errno::ENAMETOOLONG),
        (&deep, How::READ, Errno::ENAMETOOLONG),
        ("/a\0b", How::READ, Errno::EINVAL),
    ];
    for (path, how, errno) in opens {
        check_eq!(t, open_errno(path, how), Some(errno), "{path:.40} {how:?}");
    }
    type Op = fn(&str, &str) -> Result<(), Errno>;
    let ops: [(Op, &str, Errno); 18] = [
        (vfs::mkdir, "/", Errno::EEXIST),
        (vfs::mkdir, "/tmp", Errno::EEXIST),
        (vfs::mkdir, "/tmp/.", Errno::EEXIST),
        (vfs::mkdir, "/tmp/errnos/f", Errno::EEXIST),
        (vfs::mkdir, "/nosuch/d", Errno::ENOENT),
        (vfs::mkdir, "/tmp/errnos/f/d", Errno::ENOTDIR),
        (vfs::unlink, "/", Errno::EISDIR),
        (vfs::unlink, "/tmp/errnos/d", Errno::EISDIR),
        (vfs::unlink, "/tmp/errnos/d/..", Errno::EISDIR),
        (vfs::unlink, "/tmp/errnos/no", Errno::ENOENT),
        (vfs::unlink, "/tmp/errnos/f/", Errno::ENOTDIR),
        (vfs::rmdir, "/", Errno::EBUSY),
        (vfs::rmdir, "/proc", Errno::EBUSY),
        (vfs::rmdir, "/tmp/.", Errno::EINVAL),
        (vfs::rmdir, "/tmp/..", Errno::ENOTEMPTY),
        (vfs::rmdir, "/tmp/errnos/d", Errno::ENOTEMPTY),
        (vfs::rmdir, "/tmp/errnos/f", Errno::ENOTDIR),
        (vfs::rmdir, "/tmp/errnos/no", Errno::ENOENT),
    ];
    for (i, (op, path, errno)) in ops.into_iter().enumerate() {
        check_eq!(t, op("/", path), Err(errno), "row {i}: {path}");
    }
    let file = vfs::open("/", &dir.path("f"), How::READ);
    check_eq!(t, file.map(|f| f.write(b"x")), Ok(Err(Errno::EBADF)));
    let file = vfs::open("/", &dir.path("f"), How::APPEND);
    check_eq!(t, file.map(|f| f.read(&mut [0])), Ok(Err(Errno::EBADF)));
    let opened = vfs::open("/", &dir.path("d"), How::READ);
    check_eq!(t, opened.map(|f| f.read(&mut [0])), Ok(Err(Errno::EISDIR)));
    check_eq!(t, vfs::rmdir("/", &dir.path("d/e")), Ok(()));
    Ok(())
}

fn vfs_walk(t: &mut TestCtx<'_>) -> TestResult {
    let rows = [
        ("/", "proc", Ok("/proc")),
        ("/proc", "..", Ok("/")),
        ("/", "../../tmp/./../proc//", Ok("/proc")),
        ("/sys/kernel/tracing", "../debug/tracing/..", Ok("/sys/kernel/debug")),
        ("/", "/proc/cmdline", Err(Errno::ENOTDIR)),
        ("/nosuch", "..", Err(Errno::ENOENT)),
    ];
    for (cwd, path, result) in rows {
        check_eq!(t, vfs::chdir(cwd, path), result.map(str::to_string), "{cwd} {path}");
    }
    // Links: one that leads on, one that leads to itself, one that leads nowhere.
    let root = ramfs::new(0).map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    for (name, target) in [("proc", "/proc"), ("up", ".."), ("loop", "loop"), ("dangling", "nosuch")] {
        check_eq!(t, root.link(name, target), Ok(()));
    }
    let dir = Scratch::new(t, "walk")?;
    check_eq!(t, vfs::mkdir("/", &dir.path("m")), Ok(()));
    check_eq!(t, vfs::mount("ramfs", &dir.path("m"), root), Ok(()));
    let rows = [
        ("m/proc/..", Ok("/")),
        ("m/up", Ok("/tmp/walk")),
        ("m/up/m/up", Ok("/tmp/walk")),
        ("m/loop", Err(Errno::ELOOP)),
        ("m/dangling", Err(Errno::ENOENT)),
    ];
    let seen: Vec<_> = rows.iter().map(|(path, _)| vfs::chdir(&dir.0, path)).collect();
    let link = vfs::lstat(&dir.0, "m/loop").map(|s| s.kind);
    let target = vfs::readlink(&dir.0, "m/up");
    let created = open_errno(&dir.path("m/dangling"), How { exclusive: true, ..How::REPLACE });
    check_eq!(t, vfs::unmount("/", &dir.path("m")), Ok(()));
    for ((path, result), seen) in rows.into_iter().zip(seen) {
        check_eq!(t, seen, result.map(str::to_string), "{path}");
    }
    check_eq!(t, link, Ok(Kind::Symlink));
    check_eq!(t, target, Ok("..".to_string()));
    check_eq!(t, created, Some(Errno::EEXIST));
    check_eq!(t, vfs::unmount("/", &dir.path("m")), Err(Errno::EINVAL));
    Ok(())
}

fn open_flags(t: &mut TestCtx<'_>) -> TestResult {
    let dir = Scratch::new(t, "flags")?;
    check_eq!(t, dir.put("f", "one\n"), Ok(()));
    let append = vfs::open("/", &dir.path("f"), How::APPEND);
    check_eq!(t, append.and_then(|f| f.write_all(b"two\n").and_then(|()| f.write_all(b"three\n"))), Ok(()));
    check_eq!(t, dir.get("f"), Ok("one\ntwo\nthree\n".to_string()));
    // Opened for writing alone, it is written over from the start.
    let over = How { read: false, write: true, ..How::READ };
    check_eq!(t, vfs::open("/", &dir.path("f"), over).and_then(|f| f.write_all(b"ONE")), Ok(()));
    check_eq!(t, dir.get("f"), Ok("ONE\ntwo\nthree\n".to_string()));
    check_eq!(t, dir.put("f", "new"), Ok(()));
    check_eq!(t, dir.get("f"), Ok("new".to_string()));
    // A file that was removed can still be read by who has it open.
    let held = vfs::open("/", &dir.path("f"), How::READ);
    check_eq!(t, vfs::unlink("/", &dir.path("f")), Ok(()));
    check_eq!(t, dir.get("f"), Err(Errno::ENOENT));
    check_eq!(t, held.and_then(|f| drain(&f)), Ok("new".to_string()));
    Ok(())
}

fn seek(t: &mut TestCtx<'_>) -> TestResult {
    let dir = Scratch::new(t, "seek")?;
    check_eq!(t, dir.put("f", "0123456789"), Ok(()));
    let file = vfs::open("/", &dir.path("f"), How::READ)
        .map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    let mut two = [0; 2];
    for (whence, by, at, expect) in [
        (Whence::Start, 4, Ok(4), "45"),
        (Whence::Here, -3, Ok(3), "34"),
        (Whence::End, -2, Ok(8), "89"),
        (Whence::End, 5, Ok(15), ""),
        (Whence::Start, -1, Err(Errno::EINVAL), ""),
    ] {
        check_eq!(t, file.seek(whence, by), at, "{whence:?} {by}");
        let n = file.read(&mut two);
        check_eq!(t, n, Ok(expect.len()), "{whence:?} {by}");
        check_eq!(t, &two[..expect.len()], expect.as_bytes(), "{whence:?} {by}");
    }
    let stream = pipe::pipe().map(|(r, w)| (r.seek(Whence::Start, 0), w.seek(Whence::End, 0)));
    check_eq!(t, stream, Ok((Err(Errno::ESPIPE), Err(Errno::ESPIPE))));
    Ok(())
}

/// Opens a node that is in no tree.
fn opened(node: &dyn Node, how: How) -> Result<Arc<OpenFile>, Errno> {
    OpenFile::new(node.open(how)?, how)
}

fn ramfs_is_bounded(t: &mut TestCtx<'_>) -> TestResult {
    let write = |file: &OpenFile, n| file.write(&vec![b'x'; n]);
    let run = || -> Result<_, Errno> {
        let root = ramfs::new(3 * 4096)?;
        let a = opened(&*root.create("a", 0o644)?, How::REPLACE)?;
        let b = opened(&*root.create("b", 0o644)?, How::REPLACE)?;
        let first = (write(&a, 5000), write(&b, 9000), write(&b, 1), write(&a, 4000));
        // What one file gives back the other may have.
        drop(a);
        root.unlink("a")?;
        Ok((first, write(&b, 4096), write(&b, 4096), write(&b, 1)))
    };
    let short = Ok(4096);
    let full = Err(Errno::ENOSPC);
    check_eq!(t, run(), Ok(((Ok(5000), short, full, Ok(3192)), short, short, full)));
    Ok(())
}

fn ramfs_pages_and_holes(t: &mut TestCtx<'_>) -> TestResult {
    let run = || -> Result<_, Errno> {
        let root = ramfs::new(1 << 20)?;
        let file = opened(&*root.create("f", 0o644)?, How { read: true, ..How::REPLACE })?;
        file.seek(Whence::Start, 10_000)?;
        file.write_all(b"end")?;
        file.seek(Whence::Start, 4090)?;
        file.write_all(b"across the border")?;
        file.seek(Whence::Start, 0)?;
        drain(&file)
    };
    let text = run().unwrap_or_default();
    check_eq!(t, text.len(), 10_003);
    check_eq!(t, text.get(4089..4108), Some("\0across the border\0"));
    check_eq!(t, text.trim_matches('\0').len(), 10_003 - 4090);
    check!(t, text.ends_with("\0end"));
    // Bytes of the boot image are copied by the first write, and only then.
    static IMAGE: &[u8] = b"in the image";
    let run = || -> Result<_, Errno> {
        let root = ramfs::new(4096)?;
        root.replace_image("f", 0o644, IMAGE)?;
        let node = root.lookup("f")?;
        opened(&*node, How { truncate: false, ..How::REPLACE })?.write_all(b"IN")?;
        drain(&*opened(&*node, How::READ)?)
    };
    check_eq!(t, run(), Ok("IN the image".to_string()));
    check_eq!(t, IMAGE, b"in the image");
    Ok(())
}

fn open_files_are_bounded(t: &mut TestCtx<'_>) -> TestResult {
    let mut held = Vec::new();
    let end = loop {
        match vfs::open("/", "/dev/null", How::READ) {
            Ok(file) if held.len() <= vfs::FILE_MAX => held.push(file),
            other => break other.err(),
        }
    };
    let many = held.len();
    drop(held);
    check_eq!(t, end, Some(Errno::ENFILE));
    check!(t, many > vfs::FILE_MAX / 2, "{many}");
    check_eq!(t, open_errno("/dev/null", How::READ), None);
    Ok(())
}

/// A header with a name and content, fields as given.
fn member(name: &str, mode: &str, size: &str, data: &str) -> Vec<u8> {
    let zero = "00000000";
    let name_len = format!("{:08x}", name.len() + 1);
    let fields = [zero, mode, zero, zero, zero, zero, size, zero, zero, zero, zero, &name_len, zero];
    let mut out = format!("070701{}{name}\0", fields.concat()).into_bytes();
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn initramfs_malformed(t: &mut TestCtx<'_>) -> TestResult {
    let good = member("a/b/f", "000081a4", "00000005", "hello");
    type Row = (&'static str, Vec<u8>, Result<usize, (usize, Errno)>);
    let rows: [Row; 10] = [
        ("good", good.clone(), Ok(1)),
        ("empty", Vec::new(), Ok(0)),
        ("bad magic", b"070707".repeat(40), Err((0, Errno::EINVAL))),
        ("too short", good[..60].to_vec(), Err((0, Errno::EINVAL))),
        ("content cut", good[..good.len() - 6].to_vec(), Err((0, Errno::EINVAL))),
        ("huge size", member("f", "000081a4", "ffffffff", ""), Err((0, Errno::EINVAL))),
        ("no number", member("f", "0000xxxx", "00000000", ""), Err((0, Errno::EINVAL))),
        ("leaves the root", member("../f", "000081a4", "00000000", ""), Err((0, Errno::EINVAL))),
        ("long name", member(&"n".repeat(300), "000081a4", "00000000", ""), Err((0, Errno::EINVAL))),
        ("good, then bad", [good.clone(), b"nonsense".repeat(20)].concat(), Err((1, Errno::EINVAL))),
    ];
    for (what, archive, result) in rows {
        let seen = ramfs::new(4096).map(|root| {
            // Contents are used in place, so an archive is for ever: these are small.
            let done = initramfs::unpack(Vec::leak(archive), &root);
            (done, root.lookup("a").is_ok())
        });
        check_eq!(t, seen, Ok((result, what.starts_with("good"))), "{what}");
    }
    check_eq!(t, cpio::members(&good).count(), 1);
    Ok(())
}

fn devices(t: &mut TestCtx<'_>) -> TestResult {
    let root = devfs::new().map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    let mut buf = [7; 4];
    let both = How { read: true, write: true, ..How::READ };
    for (name, read, write) in
        [("null", Ok(0), Ok(4)), ("zero", Ok(4), Ok(4)), ("full", Ok(4), Err(Errno::ENOSPC))]
    {
        let file = root.lookup(name).and_then(|node| opened(&*node, both));
        check_eq!(t, file.as_ref().map(|f| f.read(&mut buf)), Ok(read).as_ref().map(|r| *r), "{name}");
        check_eq!(t, file.as_ref().map(|f| f.write(&buf)), Ok(write).as_ref().map(|r| *r), "{name}");
    }
    check_eq!(t, buf, [0; 4]);
    check_eq!(t, vfs::stat("/", "/dev/null").map(|s| (s.kind, s.rdev)), Ok((Kind::Char, (1, 3))));
    Ok(())
}

fn text_snapshot(t: &mut TestCtx<'_>) -> TestResult {
    static SHOWN: AtomicUsize = AtomicUsize::new(0);
    let node = Text::shown(0o444, |out| {
        let n = SHOWN.fetch_add(1, Ordering::Relaxed);
        writeln!(out, "{n}: a text that takes several reads").map_err(|_| Errno::ENOMEM)
    })
    .node();
    let run = || -> Result<_, Errno> {
        let file = opened(&*node, How::READ)?;
        let mut buf = [0; 3];
        file.read(&mut buf)?;
        let rest = drain(&file)?;
        file.seek(Whence::Start, 0)?;
        let again = drain(&file)?;
        file.seek(Whence::Start, 30)?;
        Ok((buf, rest, again.len(), drain(&file)?.len()))
    };
    let first = SHOWN.load(Ordering::Relaxed);
    let text = format!("{first}: a text that takes several reads\n");
    let start = text.as_bytes().first_chunk::<3>().copied().unwrap_or_default();
    check_eq!(t, run(), Ok((start, text[3..].to_string(), text.len(), text.len() - 30)));
    Ok(())
}

fn text_pieces(t: &mut TestCtx<'_>) -> TestResult {
    let node = Text::new(0o444)
        .seq(|_| {
            let mut n = 0;
            Ok(Box::new(move |out: &mut Out| {
                n += 1;
                if n <= 1000 {
                    out.bytes().extend_from_slice(format!("{n}\n").as_bytes());
                }
                Ok(n <= 1000)
            }))
        })
        .node();
    let all: String = (1..=1000).map(|n| format!("{n}\n")).collect();
    let run = || -> Result<_, Errno> {
        let file = opened(&*node, How::READ)?;
        let whole = drain(&file)?;
        file.seek(Whence::Start, 1000)?;
        Ok((whole, drain(&file)?, file.seek(Whence::End, 0).err()))
    };
    check_eq!(t, run(), Ok((all.clone(), all[1000..].to_string(), Some(Errno::EINVAL))));
    Ok(())
}

fn text_write_splits_lines(t: &mut TestCtx<'_>) -> TestResult {
    let seen: Arc<SpinLock<Vec<String>>> = Arc::new(SpinLock::new(Vec::new()));
    let sink = seen.clone();
    let node = Text::new(0o644)
        .commands(move |line| {
            sink.lock().push(line.to_string());
            if line == "bad" { Err(Errno::ENOENT) } else { Ok(()) }
        })
        .node();
    for (data, result, lines) in [
        ("a\nb", Ok(3), &["a", "b"][..]),
        ("# no\n\na # c\n", Ok(12), &["a "]),
        ("a\nbad\nb\n", Err(Errno::ENOENT), &["a", "bad"]),
    ] {
        seen.lock().clear();
        check_eq!(t, opened(&*node, How::APPEND).and_then(|f| f.write(data.as_bytes())), result, "{data:?}");
        check_eq!(t, *seen.lock(), lines, "{data:?}");
    }
    let dir = textfs::Dir::new(0o755, Refusals::TRACEFS);
    dir.file("x", Text::new(0o200));
    check!(t, dir.remove("x"));
    check!(t, !dir.remove("x"));
    Ok(())
}

fn read_only_files_refuse(t: &mut TestCtx<'_>) -> TestResult {
    tracefs::tracefs().file("selftest_shown", Text::shown(0o440, |_| Ok(())));
    let rows = [
        ("/proc/version", Errno::EIO),
        ("/proc/self/stat", Errno::EINVAL),
        ("/sys/kernel/tracing/selftest_shown", Errno::EINVAL),
        ("/sys/kernel/debug/tracing/selftest_shown", Errno::EINVAL),
    ];
    for (path, errno) in rows {
        check_eq!(t, vfs::open("/", path, How::REPLACE).and_then(|f| f.write(b"x")), Err(errno), "{path}");
    }
    check!(t, tracefs::tracefs().remove("selftest_shown"));
    check_eq!(t, open_errno("/sys/kernel/tracing/nosuch", How::REPLACE), Some(Errno::EACCES));
    check_eq!(t, open_errno("/proc/nosuch", How::REPLACE), Some(Errno::ENOENT));
    check_eq!(t, vfs::mkdir("/", "/sys/kernel/tracing/d"), Err(Errno::EPERM));
    check_eq!(t, vfs::mkdir("/", "/proc/d"), Err(Errno::ENOENT));
    check_eq!(t, vfs::unlink("/", "/proc/version"), Err(Errno::EPERM));
    Ok(())
}

fn proc_formats(t: &mut TestCtx<'_>) -> TestResult {
    let rows = [
        ("/proc/meminfo", "MemTotal:"),
        ("/proc/interrupts", "IPI0:"),
        ("/proc/cpuinfo", "processor\t: 0"),
        ("/proc/stat", "btime "),
        ("/proc/mounts", "proc /proc proc rw"),
        ("/proc/self/status", "Kthread:\t1"),
    ];
    for (path, part) in rows {
        let text = read_all(path).unwrap_or_default();
        check!(t, text.contains(part), "{path}: {text}");
        check!(t, text.ends_with('\n'), "{path}");
    }
    let me = task::current().pid();
    let stat = read_all("/proc/self/stat").unwrap_or_default();
    check!(t, stat.starts_with(&format!("{me} (")), "{stat}");
    check_eq!(t, stat.split_whitespace().count(), 52);
    check_eq!(t, procfs::root().lookup("0").err(), Some(Errno::ENOENT));
    check_eq!(t, procfs::root().lookup("+1").err(), Some(Errno::ENOENT));
    Ok(())
}

fn tty_lines(t: &mut TestCtx<'_>) -> TestResult {
    // Keys; what can be read; what is echoed; ends of input; keys without room.
    type Row = (&'static [u8], &'static [u8], &'static [u8], u32, u64);
    let cooked: [Row; 10] = [
        (b"ab", b"", b"ab", 0, 0),
        (b"ab\r", b"ab\n", b"ab\r\n", 0, 0),
        (b"ab\x7fc\n", b"ac\n", b"ab\x08 \x08c\r\n", 0, 0),
        (b"\x08x\r", b"x\n", b"x\r\n", 0, 0),
        // Two bytes, one character.
        (b"\xc3\xa4\x7f\r", b"\n", b"\xc3\xa4\x08 \x08\r\n", 0, 0),
        (b"abc\x15d\r", b"d\n", b"abc\x08 \x08\x08 \x08\x08 \x08d\r\n", 0, 0),
        (b"ab\x03c\r", b"c\n", b"ab^C\r\nc\r\n", 0, 0),
        (b"\x04ab\x04", b"ab", b"ab", 1, 0),
        // A line of more than eight bytes, and a newline that ends it all the same.
        (b"123456789\r", b"12345678\n", b"12345678\x07\r\n", 0, 1),
        (b"1234567\r1234567\rab\r", b"1234567\n1234567\n", b"1234567\r\n1234567\r\nab\r\n", 0, 3),
    ];
    for (keys, ready, echoed, ends, dropped) in cooked {
        let seen = tty::typed(false, keys);
        check_eq!(
            t,
            (&*seen.0, &*seen.1, seen.2, seen.3),
            (ready, echoed, ends, dropped),
            "{}",
            keys.escape_ascii()
        );
    }
    check_eq!(t, tty::typed(true, b"a\x03\x04\r\x7f"), (b"a\x03\x04\r\x7f".to_vec(), Vec::new(), 0, 0));
    Ok(())
}

fn pipe_ends(t: &mut TestCtx<'_>) -> TestResult {
    let run = || -> Result<_, Errno> {
        let (reader, writer) = pipe::pipe()?;
        let mut buf = [0; 8];
        let wrong = (reader.write(b"x"), writer.read(&mut buf));
        writer.write_all(b"abc")?;
        drop(writer);
        let rest = (drain(&reader)?, reader.read(&mut buf));
        let (reader, writer) = pipe::pipe()?;
        drop(reader);
        Ok((wrong, rest, writer.write(b"x")))
    };
    let wrong = (Err(Errno::EBADF), Err(Errno::EBADF));
    check_eq!(t, run(), Ok((wrong, ("abc".to_string(), Ok(0)), Err(Errno::EPIPE))));
    Ok(())
}

fn pipe_between_tasks(t: &mut TestCtx<'_>) -> TestResult {
    /// More than the pipe holds, so that both sides wait.
    const TOTAL: usize = 10 * pipe::PIPE_SIZE + 123;
    let (reader, writer) = pipe::pipe().map_err(|e| t.fail(file!(), line!(), format_args!("{e}")))?;
    let body = move || {
        let data: Vec<u8> = (0..TOTAL).map(|n| n as u8).collect();
        for part in data.chunks(3000) {
            if writer.write_all(part).is_err() {
                return;
            }
        }
    };
    let task = task::spawn("pipe-writer", task::Prio::NORMAL, Box::new(body));
    check!(t, task.is_ok());
    let mut buf = [0; 1000];
    let mut total = 0;
    while let Ok(n @ 1..) = reader.read(&mut buf) {
        for (i, byte) in buf[..n].iter().enumerate() {
            check_eq!(t, *byte, (total + i) as u8);
        }
        total += n;
    }
    check_eq!(t, total, TOTAL);
    Ok(())
}
