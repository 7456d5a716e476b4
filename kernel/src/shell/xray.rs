//! xray
use sh::Ctx;
pub(super) fn main(_ctx: &mut Ctx, _args: &[&str]) -> i32 {
    1
}
