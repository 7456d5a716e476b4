//! The interpreter's ways between programs, functions and helpers.

mod common;

use bpf::interp::{CallBack, Cause, Code, Env, Fault, HelperError};
use bpf::op::{Atomic, Imm64, Size, Width};
use bpf::text;
use common::run_text;

fn code(source: &str) -> Code {
    Code::new(&text::parse(source, &text::NoNames).unwrap_or_else(|e| panic!("{e}\n{source}")))
}

/// No memory; helper 164 calls its second argument with 1, 2 and 3, until that leaves something.
struct Elements;

impl Env for Elements {
    fn load(&mut self, _: u64, _: Size) -> Result<u64, Fault> {
        Err(Fault)
    }

    fn store(&mut self, _: u64, _: Size, _: u64) -> Result<(), Fault> {
        Err(Fault)
    }

    fn atomic(&mut self, _: u64, _: Width, _: Atomic, _: u64, _: u64) -> Result<u64, Fault> {
        Err(Fault)
    }

    fn call(&mut self, _: i32, _: [u64; 5]) -> Result<u64, HelperError> {
        Err(HelperError::Unknown)
    }

    fn call_with(
        &mut self,
        helper: i32,
        [map, function, context, ..]: [u64; 5],
        back: &mut CallBack<'_>,
    ) -> Option<Result<u64, HelperError>> {
        (helper == 164).then(|| {
            for n in 1..=3 {
                match back(self, function, [map, n, 10 * n, context, 0]) {
                    Some(0) => {}
                    Some(_) => return Ok(n),
                    None => return Err(HelperError::Stopped),
                }
            }
            Ok(3)
        })
    }

    fn address(&mut self, _: Imm64) -> Option<u64> {
        Some(0)
    }
}

fn run(source: &str) -> Result<u64, (usize, Cause)> {
    code(source).run(&mut Elements, [0; 5], 0, 10_000).map_err(|trap| (trap.at, trap.why))
}

#[test]
fn a_loop_calls_until_it_is_told_to_stop() {
    let all = "r6 = 5; r1 = 10; r2 = code[body]; r3 = 0; r4 = 0; call 181; r0 += r6; exit; body: r6 = 9; r0 = 0; exit";
    assert_eq!(run(all), Ok(15));
    assert_eq!(run(&all.replace("r0 = 0; exit", "r0 = r1; r0 >>= 2; exit")), Ok(10));
    assert_eq!(run(&all.replace("r1 = 10", "r1 = 0")), Ok(5));
    assert_eq!(run(&all.replace("r4 = 0", "r4 = 1")), Ok(-22_i64 as u64 + 5));
    assert_eq!(run(&all.replace("r1 = 10", "r1 = 8388609")), Ok(-7_i64 as u64 + 5));
    // Loops within loops have frames too, and a budget.
    let inner = "r1 = 10; r2 = code[body]; r3 = 0; r4 = 0; call 181";
    let deep = all.replace("r6 = 9", inner);
    assert_eq!(run(&deep), Err((14, Cause::Frames)));
    assert_eq!(run(&all.replace("r1 = 10", "r1 = 20000")), Err((6, Cause::Budget)));
    // What is wrong in a function is said of the function.
    let wrong = all.replace("r0 = 0; exit", "r0 = *(u8 *)(r1 + 5); exit");
    assert_eq!(run(&wrong), Err((10, Cause::Fault(5))));
    assert_eq!(run("r1 = 1; r2 = 7; r3 = 0; r4 = 0; call 181; exit"), Err((4, Cause::Call)));
}

#[test]
fn a_helper_calls_back() {
    let each = "r1 = map[0]; r2 = code[each]; r3 = 0; call 164; exit; each: r0 = r3; r0 s>= 20 ? 1 : 0; exit";
    let each = each.replace("r0 s>= 20 ? 1 : 0", "r0 /= 20");
    assert_eq!(run(&each), Ok(2));
    assert_eq!(run(&each.replace("/= 20", "/= 100")), Ok(3));
    assert_eq!(run("call 165; exit"), Err((0, Cause::Helper(165))));
}

#[test]
fn tail_calls_replace_a_function() {
    let other = code("r0 = 5; exit");
    let again = code("r6 = r1; r2 = map[1]; r3 = 1; call 12; r0 = r6; exit");
    let programs =
        |_: u64, index: u32| [Some(&other), Some(&again), None].into_iter().nth(index as usize).flatten();
    let run = |source: &str| {
        let code = code(source);
        code.run_among(&|map, index| programs(map, index), &mut Elements, [7, 0, 0, 0, 0], 0, 1000).unwrap()
    };
    assert_eq!(run("r2 = map[1]; r3 = 0; call 12; r0 = 1; exit"), 5);
    assert_eq!(run("r2 = map[1]; r3 = 2; call 12; r0 = 1; exit"), 1);
    // 33, and then it goes on.
    assert_eq!(run("r2 = map[1]; r3 = 1; call 12; r0 = 1; exit"), 7);
    assert_eq!(
        run("r6 = 1; call inner; r0 += r6; exit; inner: r2 = map[1]; r3 = 0; call 12; r0 = 3; exit"),
        6
    );
    let (result, _) = run_text("r2 = 0; r3 = 0; call 12; r0 = 4; exit", &[]);
    assert_eq!(result, Ok(4));
}
