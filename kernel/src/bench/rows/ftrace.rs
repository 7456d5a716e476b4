//! ftrace: what an entry costs, and what switching all of them costs.

use super::event::write;
use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::ftrace::direct::{self, Trampoline, saving_trampoline};
use crate::ftrace::{self, FtraceRegs, Hit, Ops, SiteSet, site_of};
use crate::ksyms;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "ftrace/ops-empty", run: ops_empty },
    Bench { name: "ftrace/ops-guarded-empty", run: guarded_empty },
    Bench { name: "ftrace/two-ops-empty", run: two_ops_empty },
    Bench { name: "ftrace/direct-empty", run: direct_empty },
    Bench { name: "ftrace/function-record", run: function_record },
    Bench { name: "ftrace/function-args-record", run: |b| function_option(b, "func-args") },
    Bench { name: "ftrace/function-stack-record", run: |b| function_option(b, "func_stack_trace") },
    Bench { name: "ftrace/enable-all-per-site", run: enable_all },
    Bench { name: "ftrace/set-filter-one", run: set_filter_one },
];

static BARE: Ops = Ops::bare("bench_bare", nothing_bare, nothing);
static ONE: Ops = Ops::new("bench_one", nothing);
static TWO: Ops = Ops::new("bench_two", nothing);
static DIRECT: Ops = Ops::direct("bench_direct");
/// For all functions: it must not trace what the bench itself needs.
static ALL: Ops = Ops::bare("bench_all", nothing_bare, nothing);

noinstr! {
    extern "C" fn nothing_bare(_: usize, _: usize, _: &'static Ops, _: &mut FtraceRegs) {}

    fn nothing(_: &Hit<'_>, _: &mut FtraceRegs) {}
}

#[inline(never)]
fn traced() {
    black_box(());
}

fn traced_only() -> Result<SiteSet, Skip> {
    let site = site_of((traced as fn() as *const ()).addr()).ok_or(Skip("the function has no site"))?;
    Ok(SiteSet::of([site]))
}

fn extra(b: &mut Bencher, ops: &[&'static Ops]) -> BenchResult {
    let sites = traced_only()?;
    b.extra(
        1000,
        || black_box(traced as fn())(),
        || {
            ops.iter()
                .map(|ops| ftrace::register(ops, sites.clone()).map_err(|_| Skip("not registered")))
                .collect::<Result<alloc::vec::Vec<_>, _>>()
        },
    )
}

/// A callback called as it is, as Linux calls one.
fn ops_empty(b: &mut Bencher) -> BenchResult {
    extra(b, &[&BARE])
}

/// A callback behind the recursion guard.
fn guarded_empty(b: &mut Bencher) -> BenchResult {
    extra(b, &[&ONE])
}

fn two_ops_empty(b: &mut Bencher) -> BenchResult {
    extra(b, &[&ONE, &TWO])
}

// Rust would give the empty function a frame.
core::arch::global_asm!(
    ".pushsection .noinstr.text, \"ax\"",
    ".global bench_nothing",
    ".type bench_nothing, %function",
    "bench_nothing: ret",
    ".size bench_nothing, . - bench_nothing",
    ".popsection",
);
saving_trampoline!("bench_trampoline", bench_nothing);

unsafe extern "C" {
    fn bench_nothing();
    fn bench_trampoline();
}

/// A direct call to a trampoline that saves the arguments and calls an empty function.
fn direct_empty(b: &mut Bencher) -> BenchResult {
    // SAFETY: made by `saving_trampoline`, and part of the image.
    let trampoline = unsafe { Trampoline::at((bench_trampoline as *const ()).addr()) };
    let sites = traced_only()?;
    b.extra(
        1000,
        || black_box(traced as fn())(),
        || direct::register(&DIRECT, trampoline, sites).map_err(|_| Skip("not registered")),
    )
}

/// The tracer `function`: a record in the ring.
fn function_record(b: &mut Bencher) -> BenchResult {
    with_tracer(b, None)
}

/// The same with one of its options.
fn function_option(b: &mut Bencher, option: &'static str) -> BenchResult {
    with_tracer(b, Some(option))
}

fn with_tracer(b: &mut Bencher, option: Option<&'static str>) -> BenchResult {
    let at = (traced as fn() as *const ()).addr();
    let name = ksyms::by_addr(at).ok_or(Skip("the function has no name"))?.name;
    b.extra(
        1000,
        || black_box(traced as fn())(),
        || {
            write("set_ftrace_filter", name)?;
            write("current_tracer", "function")?;
            let undo = Undo(option);
            option.map_or(Ok(()), |option| write("trace_options", option))?;
            Ok(undo)
        },
    )
}

/// Leaves no tracer and no filter behind.
struct Undo(Option<&'static str>);

impl Drop for Undo {
    fn drop(&mut self) {
        // What cannot be undone shows in the rows that follow.
        if let Some(option) = self.0 {
            let _ = write("trace_options", &alloc::format!("no{option}"));
        }
        let _ = write("current_tracer", "nop");
        let _ = write("set_ftrace_filter", "!*");
    }
}

/// One name, written to the filter.
fn set_filter_one(b: &mut Bencher) -> BenchResult {
    let name =
        ksyms::by_addr((traced as fn() as *const ()).addr()).ok_or(Skip("the function has no name"))?.name;
    let mut written = Ok(());
    b.once(1, || written = write("set_ftrace_filter", name));
    drop(Undo(None));
    written
}

/// Every function of the kernel, on.
fn enable_all(b: &mut Bencher) -> BenchResult {
    let mut on = None;
    b.once(ftrace::sites().len() as u64, || on = ftrace::register(&ALL, SiteSet::all()).ok());
    if on.is_some() { Ok(()) } else { Err(Skip("not registered")) }
}
