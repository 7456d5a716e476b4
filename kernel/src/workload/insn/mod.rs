//! The `insn_*` functions: one for each instruction class that matters to a probe.
//!
//! A probe takes an instruction away from its place. It may be executed elsewhere, out of line, or be simulated; and
//! each class has its own way of going wrong then: a PC-relative address that is off by the distance, a link register
//! that points into a slot, a branch not taken, a write-back done twice, a flag lost. Each function here is written
//! so that its result depends on every one of its instructions having been executed exactly once, with the right PC,
//! and each has a model in Rust that says what the result is. Placing a probe on every instruction of every function
//! in turn, and comparing, is then a test of all of it.
//!
//! ```text
//! macros.S   how a function begins and ends          models.rs   what each must return
//! branch.S   b, b.cond, bl, blr, br, ret, cbz …      flags.rs    NZCV arithmetic for the models
//! pcrel.S    adr, adrp, load and prefetch literal
//! data.S     arithmetic, logic, bit fields, select
//! memory.S   addressing forms, write-back, exclusives, atomics
//! system.S   mrs, msr, hints, barriers, cache, floating point
//! ```
//!
//! The functions lie in `.text.insn`, without patchable entries: each is exactly the words that stand in the source,
//! so that its size over four is the number of its instructions.

mod flags;
mod models;

use core::arch::{asm, global_asm};
use core::hint::black_box;

global_asm!(
    include_str!("macros.S"),
    include_str!("branch.S"),
    include_str!("pcrel.S"),
    include_str!("data.S"),
    include_str!("memory.S"),
    include_str!("system.S"),
    include_str!("done.S"),
    options(raw)
);

/// What a function needs beyond the base architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: Armv8.0 integer instructions.
    Base,
    /// The atomic instructions of Armv8.1 (FEAT_LSE).
    Lse,
    /// Floating point, which the kernel itself does without: it is enabled around the call alone.
    Fp,
}

/// One `insn_*` function.
pub(crate) struct InsnWorkload {
    /// The symbol.
    pub(crate) name: &'static str,
    /// What the CPU must have.
    pub(crate) needs: Needs,
    /// What the function returns for these arguments, unless something went wrong.
    pub(crate) expect: fn(u64, u64) -> u64,
    entry: unsafe extern "C" fn(u64, u64) -> u64,
    size_bytes: &'static u64,
}

impl InsnWorkload {
    /// Address of the first instruction.
    pub(crate) fn addr(&self) -> usize {
        self.entry as *const () as usize
    }

    /// Size in bytes: four for each instruction, and nothing else lies in between.
    pub(crate) fn len_bytes(&self) -> usize {
        *self.size_bytes as usize
    }

    /// Whether this CPU can run it.
    pub(crate) fn is_supported(&self) -> bool {
        match self.needs {
            Needs::Base => true,
            Needs::Lse => has_lse(),
            Needs::Fp => has_fp(),
        }
    }

    /// Runs the function once; `None` if this CPU cannot.
    pub(crate) fn call(&self, a: u64, b: u64) -> Option<u64> {
        if !self.is_supported() {
            return None;
        }
        // The optimiser must not know the function: each call is a call.
        let entry = black_box(self.entry);
        // SAFETY: an insn_* function takes two numbers, follows the procedure call standard, touches its stack alone
        // and uses no instruction beyond what was just checked.
        let call = || unsafe { entry(a, b) };
        Some(if self.needs == Needs::Fp { with_fp(call) } else { call() })
    }
}

/// FEAT_LSE: ID_AA64ISAR0_EL1.Atomic, bits 23 to 20 (Arm ARM D19.2.61).
fn has_lse() -> bool {
    let isar0: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, id_aa64isar0_el1", out(reg) isar0, options(nomem, nostack, preserves_flags)) };
    isar0 >> 20 & 0xf != 0
}

/// Floating point and vectors: ID_AA64PFR0_EL1.FP, bits 19 to 16; all ones says there is none (Arm ARM D19.2.64).
fn has_fp() -> bool {
    let pfr0: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, id_aa64pfr0_el1", out(reg) pfr0, options(nomem, nostack, preserves_flags)) };
    pfr0 >> 16 & 0xf != 0xf
}

/// CPACR_EL1.FPEN: no trap of floating point at EL0 or EL1 (Arm ARM D19.2.30).
const CPACR_FPEN: u64 = 0b11 << 20;

/// Calls with floating point enabled, and interrupts off, since no context switch saves the vector registers for the
/// kernel. What the call changes in them it puts back itself.
fn with_fp<R>(call: impl FnOnce() -> R) -> R {
    let (daif, cpacr): (u64, u64);
    // SAFETY: masks interrupts and allows floating point; both are put back below, in the other order.
    unsafe {
        asm!(
            "mrs {daif}, daif",
            "msr daifset, #3",
            "mrs {cpacr}, cpacr_el1",
            "orr {enabled}, {cpacr}, {fpen}",
            "msr cpacr_el1, {enabled}",
            "isb",
            daif = out(reg) daif, cpacr = out(reg) cpacr, enabled = out(reg) _, fpen = in(reg) CPACR_FPEN,
            options(nostack, preserves_flags)
        );
    }
    let result = call();
    // SAFETY: puts back what was saved above, on the same CPU, since nothing could switch tasks in between.
    unsafe {
        asm!("msr cpacr_el1, {cpacr}", "isb", "msr daif, {daif}",
            cpacr = in(reg) cpacr, daif = in(reg) daif, options(nostack, preserves_flags));
    }
    result
}

/// Declares the functions with their sizes, and lists them with what they need and their models.
macro_rules! insns {
    ($($needs:ident: $($name:ident $size:ident $model:ident),+;)+) => {
        unsafe extern "C" {
            $($(
                fn $name(a: u64, b: u64) -> u64;
                safe static $size: u64;
            )+)+
        }

        /// Every `insn_*` function, in the order of the source.
        pub(crate) static INSN: &[InsnWorkload] = &[$($(
            InsnWorkload {
                name: stringify!($name),
                needs: Needs::$needs,
                expect: models::$model,
                entry: $name,
                size_bytes: &$size,
            },
        )+)+];
    };
}

insns! {
    Base:
    insn_b insn_b_size b,
    insn_b_cond_taken insn_b_cond_taken_size b_cond_taken,
    insn_b_cond_not insn_b_cond_not_size b_cond_not,
    insn_b_cond_all insn_b_cond_all_size b_cond_all,
    insn_bl insn_bl_size bl,
    insn_bl_back insn_bl_back_size bl_back,
    insn_blr insn_blr_size blr,
    insn_blr_x30 insn_blr_x30_size blr_x30,
    insn_br insn_br_size br,
    insn_ret insn_ret_size ret,
    insn_ret_reg insn_ret_reg_size ret_reg,
    insn_cbz insn_cbz_size cbz,
    insn_cbnz insn_cbnz_size cbnz,
    insn_tbz insn_tbz_size tbz,
    insn_tbnz insn_tbnz_size tbnz,
    insn_tail_b insn_tail_b_size tail_b,
    insn_tail_b_cond insn_tail_b_cond_size tail_b_cond,
    insn_tail_br insn_tail_br_size tail_br,
    insn_adr insn_adr_size adr,
    insn_adrp insn_adrp_size adrp,
    insn_ldr_lit64 insn_ldr_lit64_size ldr_lit64,
    insn_ldr_lit32 insn_ldr_lit32_size ldr_lit32,
    insn_ldrsw_lit insn_ldrsw_lit_size ldrsw_lit,
    insn_prfm_lit insn_prfm_lit_size prfm_lit;
    Fp:
    insn_ldr_lit_fp insn_ldr_lit_fp_size ldr_lit_fp;
    Base:
    insn_mov_wide insn_mov_wide_size mov_wide,
    insn_add_imm insn_add_imm_size add_imm,
    insn_add_extended insn_add_extended_size add_extended,
    insn_adds_subs insn_adds_subs_size adds_subs,
    insn_adc_sbc insn_adc_sbc_size adc_sbc,
    insn_logic insn_logic_size logic,
    insn_ands_bics insn_ands_bics_size ands_bics,
    insn_bitfield insn_bitfield_size bitfield,
    insn_shift_var insn_shift_var_size shift_var,
    insn_bits insn_bits_size bits,
    insn_mul_div insn_mul_div_size mul_div,
    insn_csel insn_csel_size csel,
    insn_ccmp insn_ccmp_size ccmp,
    insn_ldp_stp insn_ldp_stp_size ldp_stp,
    insn_ldnp_stnp insn_ldnp_stnp_size ldnp_stnp,
    insn_ldst_sizes insn_ldst_sizes_size ldst_sizes,
    insn_ldst_unscaled insn_ldst_unscaled_size ldst_unscaled,
    insn_ldst_register insn_ldst_register_size ldst_register,
    insn_ldst_writeback insn_ldst_writeback_size ldst_writeback,
    insn_stack_pointer insn_stack_pointer_size stack_pointer,
    insn_ldar_stlr insn_ldar_stlr_size ldar_stlr,
    insn_ldxr_stxr insn_ldxr_stxr_size ldxr_stxr,
    insn_ldaxp_stlxp insn_ldaxp_stlxp_size ldaxp_stlxp;
    Lse:
    insn_casal insn_casal_size casal,
    insn_lse insn_lse_size lse;
    Base:
    insn_mrs insn_mrs_size mrs,
    insn_msr insn_msr_size msr,
    insn_daif insn_daif_size daif,
    insn_hint insn_hint_size hint,
    insn_bti_pac insn_bti_pac_size bti_pac,
    insn_barriers insn_barriers_size barriers,
    insn_cache insn_cache_size cache;
    Fp:
    insn_fp insn_fp_size fp;
}
