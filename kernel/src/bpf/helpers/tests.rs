//! Helpers, called as programs call them.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::helper::HelperNames;
use ::bpf::map::{MapDef, MapKind, NOEXIST};
use ::bpf::object::source::{self, Defaults};
use tracecore::errno::Errno;

use crate::bpf::load::load;
use crate::bpf::maps::{Entry, create};
use crate::bpf::run::{Running, Way};
use crate::selftest::{Stop, Test, TestCtx, TestResult, check, check_eq};
use crate::sync::PreemptGuard;
use crate::task;

use super::{Helper, TABLE, address, error};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "all_are_there", run: all_are_there },
    Test { name: "maps", run: maps },
    Test { name: "rings", run: rings },
    Test { name: "memory", run: memory },
    Test { name: "texts", run: texts },
    Test { name: "machine_and_task", run: machine_and_task },
    Test { name: "loops", run: loops },
    Test { name: "locks", run: locks },
    Test { name: "stacks", run: stacks },
    Test { name: "timers_without_a_program", run: timers_without_a_program },
    Test { name: "timers", run: timers },
];

/// Calls a helper where its program would: pinned.
fn call(number: i32, args: &[u64]) -> u64 {
    let _here = PreemptGuard::new();
    let arg = |n: usize| args.get(n).copied().unwrap_or(0);
    match address(number) {
        Some(helper) => helper(arg(0), arg(1), arg(2), arg(3), arg(4)),
        None => u64::MAX,
    }
}

fn at<T: ?Sized>(value: &T) -> u64 {
    core::ptr::from_ref(value).cast::<u8>().addr() as u64
}

fn made(t: &mut TestCtx<'_>, def: MapDef) -> Result<Arc<Entry>, Stop> {
    create(def).map_err(|errno| t.fail(file!(), line!(), format_args!("{errno:?}")))
}

/// Every helper that has a prototype is there, but for tail_call, which whoever runs the program sees to.
fn all_are_there(t: &mut TestCtx<'_>) -> TestResult {
    const TAIL_CALL: i32 = 12;
    check!(t, TABLE.windows(2).all(|two| two[0].0 < two[1].0));
    for proto in ::bpf::helper::TABLE {
        let there: Option<Helper> = address(proto.number);
        check_eq!(t, there.is_some(), proto.number != TAIL_CALL);
    }
    for (number, _) in TABLE {
        check!(t, ::bpf::helper::by_number(*number).is_some(), "{number} has no prototype");
    }
    Ok(())
}

fn maps(t: &mut TestCtx<'_>) -> TestResult {
    let hash = made(t, MapDef::new(MapKind::Hash, 8, 8, 2))?;
    let (map, key, value) = (hash.address(), 7_u64, 40_u64);
    check_eq!(t, call(1, &[map, at(&key)]), 0);
    check_eq!(t, call(2, &[map, at(&key), at(&value), 0]), 0);
    check_eq!(t, call(2, &[map, at(&key), at(&value), NOEXIST]), error(Errno::EEXIST));
    let found = call(1, &[map, at(&key)]) as *mut u64;
    check!(t, !found.is_null());
    // SAFETY: the value of an element that stays.
    unsafe { *found += 2 };
    let mut read = [0; 8];
    check_eq!(t, hash.read_value(&key.to_le_bytes(), &mut read), Ok(()));
    check_eq!(t, u64::from_le_bytes(read), 42);
    check_eq!(t, call(2, &[map, at(&8_u64), at(&value), 0]), 0);
    check_eq!(t, call(2, &[map, at(&9_u64), at(&value), 0]), error(Errno::E2BIG));

    extern "C" fn add(_: u64, key: u64, value: u64, sum: u64, _: u64) -> u64 {
        // SAFETY: an element's key and value, and the sum below.
        unsafe { *(sum as *mut u64) += *(key as *const u64) * 1000 + *(value as *const u64) };
        0
    }
    let sum = 0_u64;
    check_eq!(t, call(164, &[map, add as *const () as u64, at(&sum), 0]), 2);
    check_eq!(t, core::hint::black_box(&sum), &(7042 + 8040));
    check_eq!(t, call(164, &[map, add as *const () as u64, at(&sum), 1]), error(Errno::EINVAL));
    check_eq!(t, call(3, &[map, at(&key)]), 0);
    check_eq!(t, call(3, &[map, at(&key)]), error(Errno::ENOENT));

    let queue = made(t, MapDef::new(MapKind::Queue, 0, 8, 1))?;
    let mut out = 5_u64;
    check_eq!(t, call(88, &[queue.address(), at(&out)]), error(Errno::ENOENT));
    check_eq!(t, core::hint::black_box(&mut out), &mut 0);
    check_eq!(t, call(87, &[queue.address(), at(&value), 0]), 0);
    check_eq!(t, call(87, &[queue.address(), at(&value), 0]), error(Errno::E2BIG));
    check_eq!(t, call(89, &[queue.address(), at(&out)]), 0);
    check_eq!(t, core::hint::black_box(&mut out), &mut 40);
    Ok(())
}

fn rings(t: &mut TestCtx<'_>) -> TestResult {
    let ring = made(t, MapDef::new(MapKind::RingBuf, 0, 0, 4096))?;
    let map = ring.address();
    let mut out = [0; 64];
    check_eq!(t, call(130, &[map, at(b"hello"), 5, 0]), 0);
    check_eq!(t, call(130, &[map, at(b"hello"), 5, 4]), error(Errno::EINVAL));
    check_eq!(t, call(131, &[map, 8, 1]), 0);
    let (kept, dropped) = (call(131, &[map, 8, 0]), call(131, &[map, 16, 0]));
    check!(t, kept != 0 && dropped != 0);
    // SAFETY: 8 bytes were reserved there.
    unsafe { *(kept as *mut u64) = 77 };
    check_eq!(t, ring.ring_take(&mut out), Ok(Some(5)));
    check_eq!(t, &out[..5], b"hello");
    check_eq!(t, ring.ring_take(&mut out), Ok(None));
    check_eq!(t, call(133, &[dropped, 0]), 0);
    check_eq!(t, call(132, &[kept, 0]), 0);
    check_eq!(t, ring.ring_take(&mut out), Ok(Some(8)));
    check_eq!(t, out[0], 77);
    check_eq!(t, ring.ring_take(&mut out), Ok(None));
    check_eq!(t, call(134, &[map, 0]), 0);
    check_eq!(t, call(134, &[map, 1]), 4096);
    let mut written = 0;
    while call(130, &[map, at(&out), 56, 0]) == 0 {
        written += 1;
    }
    check_eq!(t, (written, ring.ring_dropped()), (63, 1));

    let events = made(t, MapDef::new(MapKind::PerfEventArray, 4, 4, 64))?;
    const CURRENT: u64 = 0xffff_ffff;
    check_eq!(t, call(25, &[0, events.address(), CURRENT, at(&out), 8]), error(Errno::ENOENT));
    check_eq!(t, call(25, &[0, events.address(), 64, at(&out), 8]), error(Errno::E2BIG));
    check_eq!(t, call(25, &[0, events.address(), 1 << 40, at(&out), 8]), error(Errno::EINVAL));
    let mut reader = crate::bpf::maps::Events::open(events.clone(), None)
        .map_err(|errno| t.fail(file!(), line!(), format_args!("{errno:?}")))?;
    check!(t, crate::bpf::maps::Events::open(events.clone(), None).is_err());
    check_eq!(t, call(25, &[0, events.address(), CURRENT, at(b"12345678"), 8]), 0);
    let next = reader.next(&mut out);
    check!(t, matches!(next, Some(crate::bpf::maps::Event::Data { len: 8, .. })));
    check_eq!(t, &out[..8], b"12345678");
    drop(reader);
    check_eq!(t, call(25, &[0, events.address(), CURRENT, at(&out), 8]), error(Errno::ENOENT));
    Ok(())
}

fn memory(t: &mut TestCtx<'_>) -> TestResult {
    const NOWHERE: u64 = 0xffff_0000_dead_0000;
    let from = *b"some text\0 behind";
    let mut to = [0xff_u8; 16];
    check_eq!(t, call(113, &[at(&to), 9, at(&from)]), 0);
    check_eq!(t, &core::hint::black_box(&mut to)[..10], b"some text\xff");
    check_eq!(t, call(113, &[at(&to), 16, NOWHERE]), error(Errno::EFAULT));
    check_eq!(t, core::hint::black_box(&mut to), &mut [0; 16]);
    to.fill(0xff);
    check_eq!(t, call(115, &[at(&to), 16, at(&from)]), 10);
    check_eq!(t, core::hint::black_box(&mut to), b"some text\0\0\0\0\0\0\0");
    check_eq!(t, call(115, &[at(&to), 5, at(&from)]), 5);
    check_eq!(t, &core::hint::black_box(&mut to)[..5], b"some\0");
    check_eq!(t, call(115, &[at(&to), 16, NOWHERE]), error(Errno::EFAULT));
    check_eq!(t, core::hint::black_box(&mut to), &mut [0; 16]);
    check_eq!(t, call(115, &[at(&to), 0, NOWHERE]), 0);
    // A user's address is not the kernel's, nor the other way round; and there are no users.
    check_eq!(t, call(113, &[at(&to), 8, 0x1000]), error(Errno::EFAULT));
    check_eq!(t, call(112, &[at(&to), 8, at(&from)]), error(Errno::EFAULT));
    check_eq!(t, call(112, &[at(&to), 8, 0x1000]), error(Errno::EFAULT));
    check_eq!(t, call(114, &[at(&to), 8, 0x1000]), error(Errno::EFAULT));
    check_eq!(t, call(4, &[at(&to), 8, at(&from)]), 0);
    check_eq!(t, call(45, &[at(&to), 8, at(&from)]), 8);

    check_eq!(t, call(182, &[at(b"abc\0"), 4, at(b"abc\0")]), 0);
    check_eq!(t, call(182, &[at(b"abcd"), 3, at(b"abc\0")]), 0);
    check!(t, (call(182, &[at(b"abb\0"), 4, at(b"abc\0")]) as i64) < 0);
    check!(t, (call(182, &[at(b"abc\0"), 4, at(b"ab\0")]) as i64) > 0);
    let number = 0_u64;
    for (text, flags, length, value) in [
        (&b"42 "[..], 0, 2, 42_u64),
        (b" -42", 10, 4, (-42_i64) as u64),
        (b"0x1f.", 0, 4, 31),
        (b"017", 0, 3, 15),
        (b"9223372036854775807", 0, 19, i64::MAX as u64),
        (b"x", 0, error(Errno::EINVAL), 0),
        (b"12", 7, error(Errno::EINVAL), 0),
        (b"9223372036854775808", 0, error(Errno::ERANGE), 0),
        (b"99999999999999999999", 0, error(Errno::ERANGE), 0),
    ] {
        check_eq!(t, call(105, &[at(text), text.len() as u64, flags, at(&number)]), length);
        check_eq!(t, *core::hint::black_box(&number), value);
    }
    check_eq!(t, call(106, &[at(b"-1"), 2, 0, at(&number)]), error(Errno::EINVAL));
    check_eq!(t, call(106, &[at(b"18446744073709551615"), 20, 0, at(&number)]), 20);
    check_eq!(t, *core::hint::black_box(&number), u64::MAX);
    Ok(())
}

fn texts(t: &mut TestCtx<'_>) -> TestResult {
    let mut to = [0xff_u8; 32];
    let args = [at(b"kernel\0"), 42];
    check_eq!(t, call(165, &[at(&to), 32, at(b"%s %d\0"), at(&args), 16]), 10);
    check_eq!(t, &core::hint::black_box(&mut to)[..10], b"kernel 42\0");
    check_eq!(t, call(165, &[at(&to), 4, at(b"%s %d\0"), at(&args), 16]), 10);
    check_eq!(t, &core::hint::black_box(&mut to)[..4], b"ker\0");
    check_eq!(t, call(165, &[at(&to), 4, at(b"%z\0"), at(&args), 16]), error(Errno::EINVAL));
    check_eq!(t, call(165, &[at(&to), 4, at(b"%d\0"), at(&args), 12]), error(Errno::EINVAL));
    check_eq!(t, call(165, &[0, 0, at(b"abc\0"), 0, 0]), 4);
    let work = crate::ksyms::by_name("work_add").map_or(0, |symbol| symbol.start);
    check_eq!(t, call(165, &[at(&to), 32, at(b"%pS\0"), at(&[work + 8]), 8]), 13);
    check_eq!(t, &core::hint::black_box(&mut to)[..13], b"work_add+0x8\0");
    check_eq!(t, call(6, &[at(b"got %d\0"), 7, 5]), 5);
    check_eq!(t, call(6, &[at(b"no end"), 6, 5]), error(Errno::EINVAL));
    check_eq!(
        t,
        call(177, &[at(b"%d %d\0"), 6, at(&args), 16]),
        13_u64.max(2 + digits(args[0] as i32 as i64))
    );
    Ok(())
}

/// How many bytes a number takes.
fn digits(number: i64) -> u64 {
    let mut text = alloc::format!("{number} ");
    text.truncate(30);
    text.len() as u64
}

fn machine_and_task(t: &mut TestCtx<'_>) -> TestResult {
    let before = crate::time::now_ns();
    for clock in [5, 125, 160, 208] {
        let now = call(clock, &[]);
        check!(t, (before..=crate::time::now_ns()).contains(&now), "{clock}");
    }
    check!(t, call(118, &[]) >= before / 4_000_000);
    check!(t, call(8, &[]) < crate::arch::cpu::online() as u64);
    let mut numbers: Vec<u64> = (0..100).map(|_| call(7, &[])).collect();
    check!(t, numbers.iter().all(|n| *n <= u64::from(u32::MAX)));
    numbers.sort_unstable();
    numbers.dedup();
    check!(t, numbers.len() > 90, "{} different ones", numbers.len());

    let me = task::current();
    check_eq!(t, call(14, &[]), u64::from(me.pid()) << 32 | u64::from(me.pid()));
    check_eq!(t, call(15, &[]), 0);
    check_eq!(t, call(35, &[]), at(&*me));
    let mut comm = [0xff_u8; 20];
    check_eq!(t, call(16, &[at(&comm), 20]), 0);
    check_eq!(t, &core::hint::black_box(&mut comm)[..16], &me.comm());
    check_eq!(t, &comm[16..], &[0; 4]);
    let mut short = [0xff_u8; 3];
    check_eq!(t, call(16, &[at(&short), 3]), 0);
    check_eq!(t, core::hint::black_box(&mut short)[2], 0);
    // No program runs.
    check_eq!(t, (call(173, &[]), call(174, &[]), call(185, &[])), (0, 0, 0));
    let out = 9_u64;
    check_eq!(t, call(183, &[0, 0, at(&out)]), error(Errno::EINVAL));
    check_eq!(t, *core::hint::black_box(&out), 0);
    check_eq!(t, call(184, &[0, at(&out)]), error(Errno::EOPNOTSUPP));
    Ok(())
}

fn loops(t: &mut TestCtx<'_>) -> TestResult {
    extern "C" fn until_five(n: u64, count: u64, _: u64, _: u64, _: u64) -> u64 {
        // SAFETY: the count below.
        unsafe { *(count as *mut u64) += 1 };
        u64::from(n == 5)
    }
    let count = 0_u64;
    let f = until_five as *const () as u64;
    check_eq!(t, call(181, &[3, f, at(&count), 0]), 3);
    check_eq!(t, call(181, &[100, f, at(&count), 0]), 6);
    check_eq!(t, *core::hint::black_box(&count), 9);
    check_eq!(t, call(181, &[(1 << 23) + 1, f, at(&count), 0]), error(Errno::E2BIG));
    check_eq!(t, call(181, &[1, f, at(&count), 1]), error(Errno::EINVAL));
    Ok(())
}

/// All CPUs add to two halves of a value under its lock: they stay the same.
fn locks(t: &mut TestCtx<'_>) -> TestResult {
    let special = ::bpf::map::Special { spin_lock: Some(0), timer: None };
    let map = made(t, MapDef { special, ..MapDef::new(MapKind::Array, 4, 24, 1) })?;
    let key = 0_u32;
    let value = call(1, &[map.address(), at(&key)]);
    check!(t, value != 0);
    let load = crate::selftest::Load::start(move |_| {
        let _here = PreemptGuard::new();
        call(93, &[value]);
        // SAFETY: the value of an array that stays, under its lock.
        let same = unsafe {
            let (a, b) = ((value + 8) as *mut u64, (value + 16) as *mut u64);
            a.write_volatile(a.read_volatile() + 1);
            b.write_volatile(b.read_volatile() + 1);
            a.read_volatile() == b.read_volatile()
        };
        call(94, &[value]);
        same
    });
    task::sleep_ns(10 * crate::time::NS_PER_MS);
    let (turns, wrong) = load.end();
    check_eq!(t, wrong, 0);
    let mut read = [0; 24];
    check_eq!(t, map.read_value(&key.to_le_bytes(), &mut read), Ok(()));
    let words: Vec<u64> = read.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    check_eq!(t, words, [0, turns, turns]);
    check!(t, !crate::arch::daif::irqs_masked());
    Ok(())
}

fn stacks(t: &mut TestCtx<'_>) -> TestResult {
    let map = made(t, MapDef::new(MapKind::StackTrace, 4, 8 * 16, 16))?;
    let number = call(27, &[0, map.address(), 0]);
    check!(t, number < 16, "{number:#x}");
    check_eq!(t, call(27, &[0, map.address(), 1 << 8]), error(Errno::EFAULT));
    check_eq!(t, call(27, &[0, map.address(), 1 << 20]), error(Errno::EINVAL));
    let mut stack = [0; 8 * 16];
    check_eq!(t, map.read_value(&(number as u32).to_le_bytes(), &mut stack), Ok(()));
    let first = stack.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    check!(t, crate::ksyms::by_addr(first as usize).is_some(), "{first:#x}");
    let taken = call(67, &[0, at(&stack), 16, 0]);
    check_eq!(t, taken, 16);
    check_eq!(t, call(67, &[0, at(&stack), 16, 1 << 8]), error(Errno::EOPNOTSUPP));
    check_eq!(t, call(67, &[0, at(&stack), 12, 0]), error(Errno::EINVAL));
    Ok(())
}

fn timers_without_a_program(t: &mut TestCtx<'_>) -> TestResult {
    let special = ::bpf::map::Special { spin_lock: None, timer: Some(0) };
    let map = made(t, MapDef { special, ..MapDef::new(MapKind::Hash, 4, 24, 2) })?;
    let mut key = 1_u32;
    for n in 1..=2 {
        key = n;
        check_eq!(t, call(2, &[map.address(), at(&key), at(&[0_u64; 3]), 0]), 0);
        let timer = call(1, &[map.address(), at(&key)]);
        check_eq!(t, call(172, &[timer]), error(Errno::EINVAL));
        check_eq!(t, call(169, &[timer, map.address(), 3]), error(Errno::EINVAL));
        check_eq!(t, call(169, &[timer, map.address(), 1]), 0);
        check_eq!(t, call(169, &[timer, map.address(), 1]), error(Errno::EBUSY));
        // Nothing to call, and nobody who could say what.
        check_eq!(t, call(171, &[timer, 1000, 0]), error(Errno::EINVAL));
        check_eq!(t, call(170, &[timer, 1]), error(Errno::EPERM));
        check_eq!(t, call(172, &[timer]), 0);
    }
    // A deleted element's timer is free again.
    for _ in 0..5 {
        check_eq!(t, call(3, &[map.address(), at(&key)]), 0);
        check_eq!(t, call(2, &[map.address(), at(&key), at(&[0_u64; 3]), 0]), 0);
        let timer = call(1, &[map.address(), at(&key)]);
        check_eq!(t, call(169, &[timer, map.address(), 1]), 0);
    }
    Ok(())
}

/// A program's timer calls it back, and again when it says so, until it is cancelled; and no more when the program is gone.
fn timers(t: &mut TestCtx<'_>) -> TestResult {
    let special = ::bpf::map::Special { spin_lock: None, timer: Some(8) };
    let map = made(t, MapDef { special, ..MapDef::new(MapKind::Array, 4, 24, 1) })?;
    let id = map.id();
    let text = format!(
        "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[{id}]; call map_lookup_elem; if r0 == 0 goto out
         r6 = r0; r1 = r6; r1 += 8; r2 = map[{id}]; r3 = 1; call timer_init
         r1 = r6; r1 += 8; r2 = code[again]; call timer_set_callback
         r1 = r6; r1 += 8; r2 = 100000; r3 = 0; call timer_start
       out: r0 = 0; exit
       again: r6 = r3; r1 = 1; lock *(u64 *)(r6 + 0) += r1
         r1 = r6; r1 += 8; r2 = 100000; r3 = 0; call timer_start
         r0 = 0; exit"
    );
    let defaults = Defaults { section: "syscall", name: "timers", names: &HelperNames };
    let object = source::parse(&text, &defaults);
    check!(t, object.is_ok());
    let Ok(object) = object else { return Ok(()) };
    let loaded = load(&object, usize::MAX);
    check!(t, loaded.is_ok(), "{}", loaded.err().map_or_else(Default::default, |why| why.log));
    let Ok(loaded) = loaded else { return Ok(()) };
    let ran = loaded.progs.first().and_then(|prog| {
        let here = PreemptGuard::new();
        let running = Running { prog, way: Way::Memory, ctx: 0, cookie: 0, ip: 0 };
        prog.run_with(&running, 0, &here)
    });
    check_eq!(t, ran, Some(0));
    let count = || {
        let mut value = [0; 24];
        let _ = map.read_value(&[0; 4], &mut value);
        value.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    };
    let wait_for = |wanted: u64| {
        (0..2000).any(|_| {
            task::sleep_ns(crate::time::NS_PER_MS);
            count() >= wanted
        })
    };
    check!(t, wait_for(5), "it came {} times", count());
    let timer = call(1, &[map.address(), at(&0_u32)]) + 8;
    // Cancelled between two of its calls, or in one of them, which says so.
    let cancelled = (0..1000).any(|_| call(172, &[timer]) == 1);
    check!(t, cancelled);
    let seen = count();
    check_eq!(t, call(171, &[timer, 1000, 0]), 0);
    check!(t, wait_for(seen + 2), "it came {} times, {seen} before", count());
    drop(loaded);
    let mut before = count();
    let silent = (0..1000).any(|_| {
        task::sleep_ns(5 * crate::time::NS_PER_MS);
        core::mem::replace(&mut before, count()) == before
    });
    check!(t, silent, "the program is gone");
    Ok(())
}
