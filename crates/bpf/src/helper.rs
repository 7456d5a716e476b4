//! Helpers: what a program may call of the kernel, by Linux's numbers and names.
//!
//! ```text
//!   call map_lookup_elem      r1: a map   r2: readable memory of the map's key size   ──▶ r0: the value, or 0
//!   call 1                    └──────────── Proto, one line of TABLE ────────────────────────────────────┘
//! ```
//!
//! A prototype is a promise of both sides. The verifier lets nothing else in: where [`Arg::Mem`] stands there are so
//! many readable bytes, all of them written before. Who implements a helper writes **every** byte of an [`Arg::Out`] and
//! [`Arg::OutValue`] whatever happens (zeros when it fails), since the verifier takes them as written afterwards; and gives
//! in r0 what [`Ret`] says.
//!
//! | argument | what has to be there |
//! |---|---|
//! | [`Arg::Mem`] + [`Arg::Size`] | memory, then its length: bounds of the second are held against the first |
//! | [`Arg::Out`] + [`Arg::Size`] | the same, which need not have been written |
//! | [`Arg::Key`], [`Arg::Value`] | memory of the sizes of the map in r1 |
//! | [`Arg::Record`] | what `ringbuf_reserve` gave, and then it is given back |
//! | [`Arg::Func`] | a function of the program: the helper calls it, see [`Callback`] |
//!
//! Numbers are those of Linux's `enum bpf_func_id` (`include/uapi/linux/bpf.h`).

use crate::kind::Attach;
use crate::text::Names;

/// What a helper wants in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// Nothing: it takes fewer arguments.
    None,
    /// Whatever has been written.
    Any,
    /// What a format may ask for: whatever stands there, written or not. As on Linux, nobody looks before the format is read.
    Format,
    /// A map.
    Map,
    /// Readable memory of the map's key size.
    Key,
    /// Readable memory of the map's value size.
    Value {
        /// Or 0.
        null: bool,
    },
    /// Writable memory of the map's value size; the helper writes all of it.
    OutValue,
    /// Readable memory of the size that follows.
    Mem {
        /// Or 0, with a size of 0.
        null: bool,
    },
    /// Writable memory of the size that follows; the helper writes all of it.
    Out {
        /// Or 0, with a size of 0.
        null: bool,
    },
    /// The size of the memory before it.
    Size {
        /// May it be 0?
        zero: bool,
    },
    /// Writable memory of 8 bytes; the helper writes all of it.
    OutU64,
    /// How much to reserve: a number that is known.
    Reserve,
    /// What was reserved; it is given back.
    Record,
    /// The context, as it came in r1.
    Ctx,
    /// A function of the program.
    Func,
    /// What the function gets as its last argument: an address on the stack, or 0.
    FuncData,
    /// The `bpf_spin_lock` of a map's value.
    Lock,
    /// The `bpf_timer` of a map's value.
    Timer,
    /// Text that ends with a zero, in a map that programs cannot write.
    Text,
    /// A task of the kernel.
    Task,
}

/// What a helper leaves in r0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// A number.
    Number,
    /// A number no less than the first nor greater than the second.
    Between(i64, i64),
    /// Nothing: r0 cannot be read.
    Nothing,
    /// The address of a value of the map in r1, or 0; of a map of maps, a map or 0.
    Value,
    /// What was reserved, or 0; it has to be given back.
    Record,
    /// The task that runs, as a typed pointer.
    Task,
}

/// How a helper calls a function of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// `f(index, data)`, so many times; ended by 1.
    Loop,
    /// `f(map, key, value, data)` for each element; ended by 1.
    Elements,
    /// `f(map, key, timer's value)`, later, when nobody else runs.
    Timer,
}

/// What a helper does beside what its prototype says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Special {
    /// Nothing.
    #[default]
    None,
    /// Goes on in another program, if it can; then this one is over.
    TailCall,
    /// Takes a lock.
    Lock,
    /// Lets go of it.
    Unlock,
    /// Calls a function.
    Calls(Callback),
}

/// For which programs a helper is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// All.
    All,
    /// Those that a function's address or its like belongs to.
    Functions,
    /// Those that get a function's arguments as such: fentry, fexit, fmod_ret.
    Arguments,
    /// Those at a function's end: fexit, fmod_ret.
    Results,
    /// Those that an attachment can give a cookie.
    Cookies,
    /// Those that cannot interrupt whoever holds a lock: not kprobe, tracepoint, perf_event and raw tracepoint, as in Linux.
    NotInterrupting,
}

impl For {
    /// Is a way to attach among them?
    pub const fn has(self, attach: Attach) -> bool {
        match self {
            Self::All => true,
            Self::Functions => matches!(
                attach,
                Attach::Kprobe
                    | Attach::Kretprobe
                    | Attach::KprobeMulti
                    | Attach::KretprobeMulti
                    | Attach::FprobeEntry
                    | Attach::FprobeExit
                    | Attach::Fentry
                    | Attach::Fexit
                    | Attach::FmodRet
            ),
            Self::Arguments => matches!(attach, Attach::Fentry | Attach::Fexit | Attach::FmodRet),
            Self::Results => matches!(attach, Attach::Fexit | Attach::FmodRet),
            Self::Cookies => !matches!(attach, Attach::Syscall),
            Self::NotInterrupting => !matches!(
                attach,
                Attach::Kprobe
                    | Attach::Kretprobe
                    | Attach::KprobeMulti
                    | Attach::KretprobeMulti
                    | Attach::Tracepoint
                    | Attach::RawTracepoint
                    | Attach::PerfEvent
            ),
        }
    }
}

/// A prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proto {
    /// Its number.
    pub number: i32,
    /// Its name, without `bpf_`.
    pub name: &'static str,
    /// What it wants in r1 to r5.
    pub args: [Arg; 5],
    /// What it leaves in r0.
    pub ret: Ret,
    /// What else it does.
    pub special: Special,
    /// Who may call it.
    pub programs: For,
}

/// A prototype of a helper that every program may call.
const fn proto(number: i32, name: &'static str, args: &[Arg], ret: Ret) -> Proto {
    let mut all = [Arg::None; 5];
    let mut n = 0;
    while n < args.len() {
        all[n] = args[n];
        n += 1;
    }
    Proto { number, name, args: all, ret, special: Special::None, programs: For::All }
}

impl Proto {
    const fn only(self, programs: For) -> Self {
        Self { programs, ..self }
    }

    const fn special(self, special: Special) -> Self {
        Self { special, ..self }
    }
}

const MEM: Arg = Arg::Mem { null: false };
const OUT: Arg = Arg::Out { null: false };
const SIZE: Arg = Arg::Size { zero: false };
const SIZE_OR_ZERO: Arg = Arg::Size { zero: true };

/// All of them, by number.
pub const TABLE: &[Proto] = &[
    proto(1, "map_lookup_elem", &[Arg::Map, Arg::Key], Ret::Value),
    proto(2, "map_update_elem", &[Arg::Map, Arg::Key, Arg::Value { null: false }, Arg::Any], Ret::Number),
    proto(3, "map_delete_elem", &[Arg::Map, Arg::Key], Ret::Number),
    proto(4, "probe_read", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(5, "ktime_get_ns", &[], Ret::Number),
    proto(6, "trace_printk", &[MEM, SIZE, Arg::Format, Arg::Format, Arg::Format], Ret::Number),
    proto(7, "get_prandom_u32", &[], Ret::Number),
    proto(8, "get_smp_processor_id", &[], Ret::Number),
    proto(12, "tail_call", &[Arg::Ctx, Arg::Map, Arg::Any], Ret::Nothing).special(Special::TailCall),
    proto(14, "get_current_pid_tgid", &[], Ret::Number),
    proto(15, "get_current_uid_gid", &[], Ret::Number),
    proto(16, "get_current_comm", &[OUT, SIZE], Ret::Number),
    proto(25, "perf_event_output", &[Arg::Ctx, Arg::Map, Arg::Any, MEM, SIZE_OR_ZERO], Ret::Number),
    proto(27, "get_stackid", &[Arg::Ctx, Arg::Map, Arg::Any], Ret::Number),
    proto(35, "get_current_task", &[], Ret::Number),
    proto(42, "get_numa_node_id", &[], Ret::Number),
    proto(45, "probe_read_str", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(67, "get_stack", &[Arg::Ctx, OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(87, "map_push_elem", &[Arg::Map, Arg::Value { null: false }, Arg::Any], Ret::Number),
    proto(88, "map_pop_elem", &[Arg::Map, Arg::OutValue], Ret::Number),
    proto(89, "map_peek_elem", &[Arg::Map, Arg::OutValue], Ret::Number),
    proto(93, "spin_lock", &[Arg::Lock], Ret::Nothing).special(Special::Lock).only(For::NotInterrupting),
    proto(94, "spin_unlock", &[Arg::Lock], Ret::Nothing).special(Special::Unlock).only(For::NotInterrupting),
    proto(105, "strtol", &[MEM, SIZE, Arg::Any, Arg::OutU64], Ret::Number),
    proto(106, "strtoul", &[MEM, SIZE, Arg::Any, Arg::OutU64], Ret::Number),
    proto(112, "probe_read_user", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(113, "probe_read_kernel", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(114, "probe_read_user_str", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(115, "probe_read_kernel_str", &[OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(118, "jiffies64", &[], Ret::Number),
    proto(125, "ktime_get_boot_ns", &[], Ret::Number),
    proto(130, "ringbuf_output", &[Arg::Map, MEM, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(131, "ringbuf_reserve", &[Arg::Map, Arg::Reserve, Arg::Any], Ret::Record),
    proto(132, "ringbuf_submit", &[Arg::Record, Arg::Any], Ret::Nothing),
    proto(133, "ringbuf_discard", &[Arg::Record, Arg::Any], Ret::Nothing),
    proto(134, "ringbuf_query", &[Arg::Map, Arg::Any], Ret::Number),
    proto(141, "get_task_stack", &[Arg::Task, OUT, SIZE_OR_ZERO, Arg::Any], Ret::Number),
    proto(158, "get_current_task_btf", &[], Ret::Task),
    proto(160, "ktime_get_coarse_ns", &[], Ret::Number),
    proto(164, "for_each_map_elem", &[Arg::Map, Arg::Func, Arg::FuncData, Arg::Any], Ret::Number)
        .special(Special::Calls(Callback::Elements)),
    proto(
        165,
        "snprintf",
        &[Arg::Out { null: true }, SIZE_OR_ZERO, Arg::Text, Arg::Mem { null: true }, SIZE_OR_ZERO],
        Ret::Number,
    ),
    proto(169, "timer_init", &[Arg::Timer, Arg::Map, Arg::Any], Ret::Number).only(For::NotInterrupting),
    proto(170, "timer_set_callback", &[Arg::Timer, Arg::Func], Ret::Number)
        .special(Special::Calls(Callback::Timer))
        .only(For::NotInterrupting),
    proto(171, "timer_start", &[Arg::Timer, Arg::Any, Arg::Any], Ret::Number).only(For::NotInterrupting),
    proto(172, "timer_cancel", &[Arg::Timer], Ret::Number).only(For::NotInterrupting),
    proto(173, "get_func_ip", &[Arg::Ctx], Ret::Number).only(For::Functions),
    proto(174, "get_attach_cookie", &[Arg::Ctx], Ret::Number).only(For::Cookies),
    proto(177, "trace_vprintk", &[MEM, SIZE, Arg::Mem { null: true }, SIZE_OR_ZERO], Ret::Number),
    proto(181, "loop", &[Arg::Any, Arg::Func, Arg::FuncData, Arg::Any], Ret::Number)
        .special(Special::Calls(Callback::Loop)),
    proto(182, "strncmp", &[MEM, SIZE, Arg::Text], Ret::Number),
    proto(183, "get_func_arg", &[Arg::Ctx, Arg::Any, Arg::OutU64], Ret::Number).only(For::Arguments),
    proto(184, "get_func_ret", &[Arg::Ctx, Arg::OutU64], Ret::Number).only(For::Results),
    proto(185, "get_func_arg_cnt", &[Arg::Ctx], Ret::Number).only(For::Arguments),
    proto(195, "map_lookup_percpu_elem", &[Arg::Map, Arg::Key, Arg::Any], Ret::Value),
    proto(208, "ktime_get_tai_ns", &[], Ret::Number),
];

/// The helper with this number.
pub fn by_number(number: i32) -> Option<&'static Proto> {
    TABLE.binary_search_by_key(&number, |proto| proto.number).ok().and_then(|at| TABLE.get(at))
}

/// The helper with this name, with or without `bpf_` before it.
pub fn by_name(name: &str) -> Option<&'static Proto> {
    let name = name.strip_prefix("bpf_").unwrap_or(name);
    TABLE.iter().find(|proto| proto.name == name)
}

/// The names of helpers in texts, and none of maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelperNames;

impl Names for HelperNames {
    fn helper(&self, name: &str) -> Option<i32> {
        by_name(name).map(|proto| proto.number)
    }

    fn helper_name(&self, number: i32) -> Option<&str> {
        by_number(number).map(|proto| proto.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(TABLE.windows(2).all(|pair| pair[0].number < pair[1].number));
        for proto in TABLE {
            assert_eq!(by_number(proto.number), Some(proto));
            assert_eq!(by_name(proto.name), Some(proto));
        }
        assert_eq!(by_name("bpf_loop").map(|proto| proto.number), Some(181));
        assert_eq!((by_number(0), by_number(-1), by_name("nothing")), (None, None, None));
    }

    /// A size stands behind memory, and memory before a size.
    #[test]
    fn sizes_belong_to_memory() {
        for proto in TABLE {
            for n in 0..5 {
                let memory = |arg: Option<&Arg>| matches!(arg, Some(Arg::Mem { .. } | Arg::Out { .. }));
                let sized = matches!(proto.args.get(n + 1), Some(Arg::Size { .. }));
                assert_eq!(memory(proto.args.get(n)), sized, "{} {n}", proto.name);
            }
            let gap = proto.args.iter().skip_while(|arg| **arg != Arg::None).any(|arg| *arg != Arg::None);
            assert!(!gap, "{}", proto.name);
        }
    }
}
