//! BPF programs on hooks: what a compiled `r0 = 0; exit` adds to what it is attached to.

use crate::bench::{Bench, BenchResult, Bencher, Skip};
use crate::bpf::attach::Wanted;
use crate::bpf::jit::{self, Image};
use crate::bpf::link::{self, Link};
use crate::bpf::prog::{Engine, Parts, Prog};
use crate::task::current;
use crate::tracepoint::trace;
use crate::workload::work_add;
use ::bpf::jit::Env;
use ::bpf::kind::Attach;
use ::bpf::op::Imm64;
use ::bpf::text::{self, NoNames};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

pub(super) const BENCHES: &[Bench] = &[
    Bench { name: "bpf/kprobe-empty", run: |b| at_function(b, Attach::Kprobe, "work_add+8") },
    Bench { name: "bpf/kretprobe", run: |b| at_function(b, Attach::Kretprobe, "work_add") },
    Bench { name: "bpf/kprobe-multi-empty", run: |b| at_function(b, Attach::KprobeMulti, "work_add") },
    Bench { name: "bpf/kretprobe-multi", run: |b| at_function(b, Attach::KretprobeMulti, "work_add") },
    Bench { name: "bpf/fprobe-empty", run: |b| at_function(b, Attach::FprobeEntry, "work_add") },
    Bench { name: "bpf/fentry-empty", run: |b| at_function(b, Attach::Fentry, "work_add") },
    Bench { name: "bpf/fexit", run: |b| at_function(b, Attach::Fexit, "work_add") },
    Bench { name: "bpf/tracepoint-empty", run: tracepoint },
    Bench { name: "bpf/raw-tp", run: raw },
];

/// It calls nothing and names nothing.
struct Nothing;

impl Env for Nothing {
    fn helper(&self, _: i32) -> Option<u64> {
        None
    }

    fn address(&self, _: Imm64) -> Option<u64> {
        None
    }
}

fn attach(kind: Attach, target: &str) -> Result<Arc<Link>, Skip> {
    let program = text::parse("r0 = 0\nexit", &NoNames).map_err(|_| Skip("the program cannot be read"))?;
    let image = Image::new(&program, &Nothing, &jit::options(), "bpf_prog_bench");
    let image = image.map_err(|_| Skip("the program cannot be compiled"))?;
    let parts = Parts {
        name: "bench".into(),
        attach: kind,
        section: format!("{}/{target}", kind.name()),
        gpl: true,
        tag: [0; 8],
        program,
        engine: Engine::code(image),
        maps: Vec::new(),
        context_bytes: 0,
        btf: None,
        lines: Vec::new(),
    };
    let prog = Prog::register(parts).map_err(|_| Skip("too many programs"))?;
    link::create(&prog, Wanted { target, cookies: &[] }).map_err(|_| Skip("the program was not attached"))
}

fn at_function(b: &mut Bencher, kind: Attach, target: &str) -> BenchResult {
    let f = black_box(work_add as extern "C" fn(u64, u64) -> u64);
    let call = || {
        black_box(black_box(f)(2, 40));
    };
    b.extra(1000, call, || attach(kind, target))
}

/// With the record of the renaming of a task.
fn tracepoint(b: &mut Bencher) -> BenchResult {
    let name = current().name();
    let rename = || current().set_comm(black_box(name.as_str()));
    b.extra(1000, rename, || attach(Attach::Tracepoint, "task/task_rename"))
}

/// With two arguments.
fn raw(b: &mut Bencher) -> BenchResult {
    let pass = || trace!(super::tracepoint::bench_empty(1, 2));
    b.extra(1000, pass, || attach(Attach::RawTracepoint, "bench_empty"))
}
