//! The queue, the cache, and what they say when a device fails: on devices made for it, and on the machine's, if any.

use super::cache::MAX_BLOCKS;
use super::{BLOCK_BYTES, Cache, DEPTH, Disk, Driver, MAX_REQUEST_BYTES, Op, Request, SECTOR_BYTES};
use super::{disks, events, find, finish};
use crate::irq::softirq::{Vector, count};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, skip};
use crate::sync::SpinLock;
use crate::task::{self, Prio};
use crate::time::{NS_PER_MS, Timer, now_ns};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tracecore::errno::Errno;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "requests_are_judged", run: requests_are_judged },
    Test { name: "the_queue_is_bounded", run: the_queue_is_bounded },
    Test { name: "every_request_has_its_events", run: every_request_has_its_events },
    Test { name: "a_failure_is_eio", run: a_failure_is_eio },
    Test { name: "no_answer_is_eio", run: no_answer_is_eio },
    Test { name: "cache_against_a_model", run: cache_against_a_model },
    Test { name: "lost_blocks_are_told", run: lost_blocks_are_told },
    Test { name: "the_machines_disk_reads_back", run: the_machines_disk_reads_back },
];

/// A device in memory. It answers from a timer, after a while, like a device with an interrupt.
struct Ram {
    shared: Arc<Shared>,
    room: usize,
}

pub(crate) struct Shared {
    /// What is on it.
    pub(crate) bytes: SpinLock<Vec<u8>>,
    in_hand: SpinLock<VecDeque<Box<Request>>>,
    /// The most that it had in hand at a time.
    most: AtomicU32,
    /// Requests that touch this sector fail.
    pub(crate) bad_sector: AtomicU64,
    flushes: AtomicU32,
}

/// No sector is bad.
pub(crate) const NONE: u64 = u64::MAX;
/// The device never answers.
const MUTE: u64 = u64::MAX - 1;

/// How long a device of a test may take: much longer than it does, and yet not too long for a test.
const TEST_TIMEOUT_NS: u64 = 500 * NS_PER_MS;

/// How long it takes for a request.
const LATENCY_NS: u64 = NS_PER_MS / 20;

impl Shared {
    fn answer(&self) {
        let request = self.in_hand.lock().pop_front();
        let Some(mut request) = request else { return };
        let (from, sectors) = (request.sector, request.sectors());
        let at = from as usize * SECTOR_BYTES;
        let bad = self.bad_sector.load(Ordering::Relaxed);
        if (from..from + sectors).contains(&bad) {
            return finish(request, Err(Errno::EIO));
        }
        let mut bytes = self.bytes.lock();
        let len = request.data.len();
        match request.op {
            Op::Read => request.data.copy_from_slice(&bytes[at..at + len]),
            Op::Write => bytes[at..at + len].copy_from_slice(&request.data),
            Op::Flush => {
                self.flushes.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(bytes);
        finish(request, Ok(()));
    }
}

impl Driver for Ram {
    fn has_room(&self) -> bool {
        self.shared.in_hand.lock().len() < self.room
    }

    fn start(&mut self, request: Box<Request>) {
        let n = {
            let mut in_hand = self.shared.in_hand.lock();
            in_hand.push_back(request);
            in_hand.len() as u32
        };
        self.shared.most.fetch_max(n, Ordering::Relaxed);
        if self.shared.bad_sector.load(Ordering::Relaxed) == MUTE {
            return;
        }
        let shared = self.shared.clone();
        Timer::new(move || shared.answer()).arm(now_ns() + LATENCY_NS);
    }
}

/// A device in memory with room for so many requests: it, and what is behind it.
pub(crate) fn ram(sectors: u64, room: usize, read_only: bool) -> Result<(Arc<Disk>, Arc<Shared>), Errno> {
    let shared = Arc::new(Shared {
        bytes: SpinLock::new(vec![0; sectors as usize * SECTOR_BYTES]),
        in_hand: SpinLock::new(VecDeque::with_capacity(room)),
        most: AtomicU32::new(0),
        bad_sector: AtomicU64::new(NONE),
        flushes: AtomicU32::new(0),
    });
    let driver = Box::new(Ram { shared: shared.clone(), room });
    Ok((Disk::new("ram", 0, sectors, read_only, TEST_TIMEOUT_NS, driver)?, shared))
}

/// The value, or the test's end.
macro_rules! ok {
    ($t:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => {
                return Err($t.fail(file!(), line!(), format_args!("{}: {error:?}", stringify!($result))))
            }
        }
    };
}

fn requests_are_judged(t: &mut TestCtx<'_>) -> TestResult {
    let (disk, _) = ok!(t, ram(8, 2, false));
    check_eq!(t, disk.read(0, 0).err(), Some(Errno::EINVAL));
    check_eq!(t, disk.read(0, SECTOR_BYTES + 1).err(), Some(Errno::EINVAL));
    check_eq!(t, disk.read(0, MAX_REQUEST_BYTES + SECTOR_BYTES).err(), Some(Errno::EINVAL));
    check_eq!(t, disk.read(8, SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, disk.read(7, 2 * SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, disk.read(u64::MAX, SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, disk.write(7, &[1; SECTOR_BYTES]), Ok(()));
    check_eq!(t, disk.read(7, SECTOR_BYTES).map(|data| data[0]), Ok(1));
    check_eq!(t, disk.flush(), Ok(()));
    let (disk, _) = ok!(t, ram(8, 2, true));
    check_eq!(t, disk.write(0, &[1; SECTOR_BYTES]), Err(Errno::EROFS));
    check_eq!(t, Cache::new(disk).write(0, b"x"), Err(Errno::EROFS));
    check!(t, find("vdz").is_none());
    Ok(())
}

/// More tasks than the queue has room for, a device with room for few: all are served, none more than once.
fn the_queue_is_bounded(t: &mut TestCtx<'_>) -> TestResult {
    const TASKS: usize = DEPTH + 20;
    const ROOM: usize = 3;
    let (disk, shared) = ok!(t, ram(TASKS as u64, ROOM, false));
    let wrong = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for n in 0..TASKS {
        let (disk, wrong) = (disk.clone(), wrong.clone());
        let write = move || {
            let sector = [n as u8; SECTOR_BYTES];
            let result = disk.write(n as u64, &sector).and_then(|()| disk.read(n as u64, SECTOR_BYTES));
            if disk.on_way() > DEPTH || !result.is_ok_and(|data| *data == sector) {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
        };
        tasks.push(ok!(t, task::spawn("writer", Prio::NORMAL, Box::new(write))));
    }
    for task in tasks {
        let _ = task.join();
    }
    check_eq!(t, wrong.load(Ordering::Relaxed), 0);
    check_eq!(t, shared.most.load(Ordering::Relaxed), ROOM as u32);
    check_eq!(t, disk.on_way(), 0);
    let [reads, sectors, _] = &disk.counts.reads;
    check_eq!(
        t,
        (reads.load(Ordering::Relaxed), sectors.load(Ordering::Relaxed)),
        (TASKS as u64, TASKS as u64)
    );
    check_eq!(t, disk.counts.writes[0].load(Ordering::Relaxed), TASKS as u64);
    check!(t, disk.counts.busy_ns.load(Ordering::Relaxed) > 0);
    Ok(())
}

/// Each step of each request is told once, whatever happens to it; only this test's device counts.
fn every_request_has_its_events(t: &mut TestCtx<'_>) -> TestResult {
    const TASKS: u64 = DEPTH as u64 + 20;
    const BAD: u64 = 5;
    let (disk, shared) = ok!(t, ram(TASKS, 3, false));
    shared.bad_sector.store(BAD, Ordering::Relaxed);
    let counts: Arc<[AtomicU32; 9]> = Arc::default();
    let mine = Arc::as_ptr(&disk).addr();
    let heard = |n: usize| {
        let counts = counts.clone();
        move |disk: &Disk| {
            if core::ptr::from_ref(disk).addr() == mine {
                counts[n].fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    macro_rules! count {
        ($event:ident as $n:literal, $($other:ident: $ty:ty),*) => {{
            let heard = heard($n);
            ok!(t, events::$event::register(Arc::new(move |disk: &Disk, $($other: $ty),*| heard(disk)), 0))
        }};
    }
    let listening = [
        count!(block_bio_queue as 0, _r: &Request),
        count!(block_getrq as 1, _r: &Request),
        count!(block_io_start as 2, _r: &Request),
        count!(block_rq_issue as 3, _r: &Request),
        count!(block_rq_complete as 4, _r: &Request, _e: i32),
        count!(block_io_done as 5, _r: &Request),
        count!(block_rq_error as 6, _r: &Request, _e: i32),
        count!(block_rq_insert as 7, _r: &Request),
        count!(block_rq_tag_wait as 8, _depth: usize),
    ];
    let mut tasks = Vec::new();
    for n in 0..TASKS {
        let disk = disk.clone();
        let read = move || drop(disk.read(n, SECTOR_BYTES));
        tasks.push(ok!(t, task::spawn("reader", Prio::NORMAL, Box::new(read))));
    }
    for task in tasks {
        let _ = task.join();
    }
    drop(listening);
    let got: Vec<u32> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let all = TASKS as u32;
    check!(t, got.iter().take(6).all(|count| *count == all), "of {all} requests: {got:?}");
    check_eq!(t, got[6], 1);
    // The device takes three; the others are told to wait there, once each, and those beyond the bound before that.
    check!(t, got[7] > 0 && got[7] <= all && got[8] <= all, "{got:?}");
    Ok(())
}

fn a_failure_is_eio(t: &mut TestCtx<'_>) -> TestResult {
    let (disk, shared) = ok!(t, ram(8 * BLOCK_BYTES as u64 / SECTOR_BYTES as u64, 4, false));
    shared.bad_sector.store(20, Ordering::Relaxed);
    check_eq!(t, disk.read(20, SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, disk.counts.failed.load(Ordering::Relaxed), 1);
    check!(t, disk.read(21, SECTOR_BYTES).is_ok());
    // Through the cache: the blocks before it can be read, and after it.
    let cache = Cache::new(disk);
    let mut buf = [0; 100];
    check_eq!(t, cache.read(0, &mut buf), Ok(100));
    check_eq!(t, cache.read(2 * BLOCK_BYTES as u64 + 5, &mut buf), Err(Errno::EIO));
    check_eq!(t, cache.read(3 * BLOCK_BYTES as u64, &mut buf), Ok(100));
    let mut all = vec![0; 8 * BLOCK_BYTES];
    check_eq!(t, cache.read(0, &mut all), Err(Errno::EIO));
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    check_eq!(t, cache.read(0, &mut all), Ok(all.len()));
    Ok(())
}

/// A device that is gone: who waits is told, who comes later too, and an answer that comes after all harms nobody.
fn no_answer_is_eio(t: &mut TestCtx<'_>) -> TestResult {
    let (disk, shared) = ok!(t, ram(64, 4, false));
    shared.bad_sector.store(MUTE, Ordering::Relaxed);
    check_eq!(t, disk.read(0, SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, (disk.on_way(), shared.in_hand.lock().len()), (1, 1));
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    shared.answer();
    check_eq!(t, disk.write(0, &[1; SECTOR_BYTES]), Ok(()));
    check_eq!(t, disk.on_way(), 0);
    // A full queue that does not move keeps nobody either.
    shared.bad_sector.store(MUTE, Ordering::Relaxed);
    let sent: Vec<_> = (0..DEPTH as u64)
        .filter_map(|n| Request::read(n % 64, SECTOR_BYTES).and_then(|read| disk.submit(read)).ok())
        .collect();
    check_eq!(t, (sent.len(), disk.on_way()), (DEPTH, DEPTH));
    check_eq!(t, disk.flush(), Err(Errno::EIO));
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    for _ in 0..DEPTH {
        shared.answer();
    }
    check!(t, sent.into_iter().all(|pending| pending.wait().is_ok()));
    check_eq!(t, disk.on_way(), 0);
    Ok(())
}

fn cache_against_a_model(t: &mut TestCtx<'_>) -> TestResult {
    // More blocks than are kept, and a last one that is not whole.
    let sectors = ((MAX_BLOCKS + 50) * BLOCK_BYTES / SECTOR_BYTES + 3) as u64;
    let (disk, shared) = ok!(t, ram(sectors, 16, false));
    let size = disk.bytes();
    let cache = Cache::new(disk);
    let mut model = vec![0u8; size as usize];
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut buf = vec![0; 3 * BLOCK_BYTES];
    for round in 0..300 {
        let pos = next(size + 100);
        let len = next(buf.len() as u64) as usize;
        let want = (size.saturating_sub(pos) as usize).min(len);
        if next(2) == 0 {
            buf[..len].fill(round as u8);
            check_eq!(t, cache.write(pos, &buf[..len]), Ok(want));
            if want > 0 {
                model[pos as usize..pos as usize + want].fill(round as u8);
            }
        } else {
            check_eq!(t, cache.read(pos, &mut buf[..len]), Ok(want));
            check!(t, want == 0 || buf[..want] == model[pos as usize..pos as usize + want], "round {round}");
        }
    }
    // Each block once, so that all of the first ones have to give way.
    for at in (0..size).step_by(BLOCK_BYTES) {
        check_eq!(t, cache.read(at, &mut buf[..1]), Ok(1));
        check_eq!(t, buf[0], model[at as usize]);
    }
    check_eq!(t, cache.sync(), Ok(()));
    check_eq!(t, shared.flushes.load(Ordering::Relaxed), 1);
    check!(t, *shared.bytes.lock() == model, "what is on the device differs");
    // Nothing is dirty: nothing is written.
    check_eq!(t, cache.sync(), Ok(()));
    check_eq!(t, shared.flushes.load(Ordering::Relaxed), 1);
    Ok(())
}

fn lost_blocks_are_told(t: &mut TestCtx<'_>) -> TestResult {
    let (disk, shared) = ok!(t, ram(64, 4, false));
    let cache = Cache::new(disk);
    check_eq!(t, cache.write(0, &[7; 3 * BLOCK_BYTES]), Ok(3 * BLOCK_BYTES));
    shared.bad_sector.store(9, Ordering::Relaxed);
    check_eq!(t, cache.sync(), Err(Errno::EIO));
    shared.bad_sector.store(NONE, Ordering::Relaxed);
    let bytes = shared.bytes.lock().clone();
    // The others were written; what was lost is not shown as if it were there.
    check_eq!(t, (bytes[0], bytes[BLOCK_BYTES], bytes[2 * BLOCK_BYTES]), (7, 0, 7));
    let mut byte = [1];
    check_eq!(t, (cache.read(BLOCK_BYTES as u64, &mut byte), byte[0]), (Ok(1), 0));
    check_eq!(t, cache.sync(), Ok(()));
    Ok(())
}

fn the_machines_disk_reads_back(t: &mut TestCtx<'_>) -> TestResult {
    let Some(disk) = disks().into_iter().next() else {
        skip!("no disk (cargo xtask qemu --disk FILE)");
    };
    let softirqs = || (0..crate::arch::cpu::online()).map(|n| count(Vector::Block as usize, n)).sum::<u32>();
    let before = softirqs();
    let last = disk.sectors() - 1;
    for sector in [0, last / 2, last] {
        let first = ok!(t, disk.read(sector, SECTOR_BYTES));
        let again = ok!(t, disk.read(sector, SECTOR_BYTES));
        check!(t, first == again);
    }
    check!(t, softirqs() > before, "no BLOCK softirq ran");
    check_eq!(t, disk.read(last + 1, SECTOR_BYTES).err(), Some(Errno::EIO));
    check_eq!(t, disk.flush(), Ok(()));
    Ok(())
}
