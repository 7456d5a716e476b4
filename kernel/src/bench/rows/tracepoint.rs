//! Tracepoints: passed while nobody listens, heard by empty probes, recorded as an event.

use super::event::write;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::task::current;
use crate::tracepoint::{trace, tracepoint};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "tracepoint/off", run: off },
    Bench { name: "tracepoint/1-probe-empty", run: direct },
    Bench { name: "tracepoint/1-owned-probe-empty", run: |b| owned(b, 1) },
    Bench { name: "tracepoint/2-probes-empty", run: |b| owned(b, 2) },
    Bench { name: "tracepoint/record", run: |b| record(b, None) },
    Bench { name: "tracepoint/record-filter-reject", run: |b| record(b, Some("pid == 0\n")) },
];

tracepoint! {
    /// For these rows.
    bench:bench_off(number: u64)
}

tracepoint! {
    /// For these rows.
    bench:bench_empty(number: u64, more: u64)
}

/// In a loop of its own: what the loop has more with it than without.
fn off(b: &mut Bencher) -> BenchResult {
    b.iter(1000, || trace!(bench_off(black_box(1))));
    Ok(())
}

/// What a probe that does nothing adds to passing a tracepoint: one that lives for ever, and is called directly.
fn direct(b: &mut Bencher) -> BenchResult {
    #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
    fn nothing(_: u64, _: u64, _: &'static ()) {}
    static PROBE: bench_empty::Direct = bench_empty::Direct::new(nothing, &());
    let pass = || trace!(bench_empty(1, 2));
    b.extra(1000, pass, || bench_empty::attach(&PROBE, 0).map_err(|_| Skip("the probe was refused")))
}

/// The same for probes that own something: they are found in a list, by a task that is pinned.
fn owned(b: &mut Bencher, probes: usize) -> BenchResult {
    let pass = || trace!(bench_empty(1, 2));
    b.extra(1000, pass, || {
        let listen = |index: usize| {
            // Each a value of its own, as no probe listens twice.
            bench_empty::register(Arc::new(move |_: u64, _: u64| debug_assert!(index < 2)), 0)
        };
        let all: Vec<_> = (0..probes).map(listen).collect();
        if all.iter().all(Result::is_ok) { Ok(all) } else { Err(Skip("a probe was refused")) }
    })
}

/// What recording it adds to the renaming of a task; with a filter, what it adds when the record is not wanted.
fn record(b: &mut Bencher, filter: Option<&str>) -> BenchResult {
    struct On;
    impl Drop for On {
        fn drop(&mut self) {
            // If it stays on the next run of the row says so.
            let _ = write("events/task/task_rename/enable", "0\n");
            let _ = write("events/task/task_rename/filter", "0\n");
        }
    }
    let name = current().name();
    let rename = || current().set_comm(black_box(name.as_str()));
    b.extra(1000, rename, || {
        let on = On;
        if let Some(filter) = filter {
            write("events/task/task_rename/filter", filter)?;
        }
        write("events/task/task_rename/enable", "1\n")?;
        Ok(on)
    })
}
