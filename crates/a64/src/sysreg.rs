//! System registers: five small numbers and, for those that a kernel meets, a name (Arm ARM, D24).
//!
//! `mrs` and `msr` name a register by `op0 op1 CRn CRm op2`. [`SysReg`] packs the five as the instruction does,
//! op0 in front. What has no name here is printed `s3_0_c15_c2_0`, as assemblers accept it.

use core::fmt;

/// A system register by its encoding: `op0:op1:CRn:CRm:op2` in 2 + 3 + 4 + 4 + 3 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysReg(u16);

impl SysReg {
    /// The register of these numbers; each is cut to its width. `op0` is 2 (debug, trace) or 3.
    pub const fn new(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> SysReg {
        SysReg((op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | (op2 & 7))
    }

    /// The register named by bits 19..5 of an `mrs` or `msr` word; bit 20, always one there, is op0's upper bit.
    pub(crate) const fn from_field(field: u32) -> SysReg {
        SysReg(0x8000 | (field & 0x7fff) as u16)
    }

    /// Bits 19..5 of an `mrs` or `msr` word.
    pub(crate) const fn field(self) -> u32 {
        (self.0 & 0x7fff) as u32
    }

    /// The five numbers: op0, op1, CRn, CRm, op2.
    pub const fn parts(self) -> (u16, u16, u16, u16, u16) {
        (self.0 >> 14, self.0 >> 11 & 7, self.0 >> 7 & 15, self.0 >> 3 & 15, self.0 & 7)
    }

    /// The architecture's name in lower case, for the registers that a kernel uses.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(reg, _)| *reg == self).map(|&(_, name)| name)
    }
}

impl fmt::Display for SysReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        let (op0, op1, crn, crm, op2) = self.parts();
        write!(f, "s{op0}_{op1}_c{crn}_c{crm}_{op2}")
    }
}

macro_rules! registers {
    ($($name:ident $text:literal $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {
        impl SysReg { $(
            #[doc = concat!("`", $text, "`")]
            pub const $name: SysReg = SysReg::new($op0, $op1, $crn, $crm, $op2);
        )* }

        const NAMES: &[(SysReg, &str)] = &[$((SysReg::$name, $text),)*];
    };
}

registers! {
    // Identification
    MIDR_EL1 "midr_el1" 3 0 0 0 0;
    MPIDR_EL1 "mpidr_el1" 3 0 0 0 5;
    REVIDR_EL1 "revidr_el1" 3 0 0 0 6;
    ID_AA64PFR0_EL1 "id_aa64pfr0_el1" 3 0 0 4 0;
    ID_AA64PFR1_EL1 "id_aa64pfr1_el1" 3 0 0 4 1;
    ID_AA64PFR2_EL1 "id_aa64pfr2_el1" 3 0 0 4 2;
    ID_AA64ZFR0_EL1 "id_aa64zfr0_el1" 3 0 0 4 4;
    ID_AA64SMFR0_EL1 "id_aa64smfr0_el1" 3 0 0 4 5;
    ID_AA64DFR0_EL1 "id_aa64dfr0_el1" 3 0 0 5 0;
    ID_AA64DFR1_EL1 "id_aa64dfr1_el1" 3 0 0 5 1;
    ID_AA64ISAR0_EL1 "id_aa64isar0_el1" 3 0 0 6 0;
    ID_AA64ISAR1_EL1 "id_aa64isar1_el1" 3 0 0 6 1;
    ID_AA64ISAR2_EL1 "id_aa64isar2_el1" 3 0 0 6 2;
    ID_AA64ISAR3_EL1 "id_aa64isar3_el1" 3 0 0 6 3;
    ID_AA64MMFR0_EL1 "id_aa64mmfr0_el1" 3 0 0 7 0;
    ID_AA64MMFR1_EL1 "id_aa64mmfr1_el1" 3 0 0 7 1;
    ID_AA64MMFR2_EL1 "id_aa64mmfr2_el1" 3 0 0 7 2;
    ID_AA64MMFR3_EL1 "id_aa64mmfr3_el1" 3 0 0 7 3;
    ID_AA64MMFR4_EL1 "id_aa64mmfr4_el1" 3 0 0 7 4;
    CCSIDR_EL1 "ccsidr_el1" 3 1 0 0 0;
    CLIDR_EL1 "clidr_el1" 3 1 0 0 1;
    CSSELR_EL1 "csselr_el1" 3 2 0 0 0;
    CTR_EL0 "ctr_el0" 3 3 0 0 1;
    DCZID_EL0 "dczid_el0" 3 3 0 0 7;
    VPIDR_EL2 "vpidr_el2" 3 4 0 0 0;
    VMPIDR_EL2 "vmpidr_el2" 3 4 0 0 5;
    // Control
    SCTLR_EL1 "sctlr_el1" 3 0 1 0 0;
    ACTLR_EL1 "actlr_el1" 3 0 1 0 1;
    CPACR_EL1 "cpacr_el1" 3 0 1 0 2;
    ZCR_EL1 "zcr_el1" 3 0 1 2 0;
    SMCR_EL1 "smcr_el1" 3 0 1 2 6;
    RGSR_EL1 "rgsr_el1" 3 0 1 0 5;
    GCR_EL1 "gcr_el1" 3 0 1 0 6;
    SCTLR_EL2 "sctlr_el2" 3 4 1 0 0;
    HCR_EL2 "hcr_el2" 3 4 1 1 0;
    MDCR_EL2 "mdcr_el2" 3 4 1 1 1;
    CPTR_EL2 "cptr_el2" 3 4 1 1 2;
    HSTR_EL2 "hstr_el2" 3 4 1 1 3;
    SCR_EL3 "scr_el3" 3 6 1 1 0;
    // Translation
    TTBR0_EL1 "ttbr0_el1" 3 0 2 0 0;
    TTBR1_EL1 "ttbr1_el1" 3 0 2 0 1;
    TCR_EL1 "tcr_el1" 3 0 2 0 2;
    TTBR0_EL2 "ttbr0_el2" 3 4 2 0 0;
    TCR_EL2 "tcr_el2" 3 4 2 0 2;
    VTTBR_EL2 "vttbr_el2" 3 4 2 1 0;
    VTCR_EL2 "vtcr_el2" 3 4 2 1 2;
    MAIR_EL1 "mair_el1" 3 0 10 2 0;
    AMAIR_EL1 "amair_el1" 3 0 10 3 0;
    PAR_EL1 "par_el1" 3 0 7 4 0;
    CONTEXTIDR_EL1 "contextidr_el1" 3 0 13 0 1;
    TCR2_EL1 "tcr2_el1" 3 0 2 0 3;
    RNDR "rndr" 3 3 2 4 0;
    RNDRRS "rndrrs" 3 3 2 4 1;
    // Keys of pointer authentication
    APIAKEYLO_EL1 "apiakeylo_el1" 3 0 2 1 0;
    APIAKEYHI_EL1 "apiakeyhi_el1" 3 0 2 1 1;
    APIBKEYLO_EL1 "apibkeylo_el1" 3 0 2 1 2;
    APIBKEYHI_EL1 "apibkeyhi_el1" 3 0 2 1 3;
    APDAKEYLO_EL1 "apdakeylo_el1" 3 0 2 2 0;
    APDAKEYHI_EL1 "apdakeyhi_el1" 3 0 2 2 1;
    APDBKEYLO_EL1 "apdbkeylo_el1" 3 0 2 2 2;
    APDBKEYHI_EL1 "apdbkeyhi_el1" 3 0 2 2 3;
    APGAKEYLO_EL1 "apgakeylo_el1" 3 0 2 3 0;
    APGAKEYHI_EL1 "apgakeyhi_el1" 3 0 2 3 1;
    // Exceptions
    SPSR_EL1 "spsr_el1" 3 0 4 0 0;
    ELR_EL1 "elr_el1" 3 0 4 0 1;
    SP_EL0 "sp_el0" 3 0 4 1 0;
    SPSEL "spsel" 3 0 4 2 0;
    CURRENTEL "currentel" 3 0 4 2 2;
    PAN "pan" 3 0 4 2 3;
    UAO "uao" 3 0 4 2 4;
    ALLINT "allint" 3 0 4 3 0;
    NZCV "nzcv" 3 3 4 2 0;
    DAIF "daif" 3 3 4 2 1;
    SVCR "svcr" 3 3 4 2 2;
    DIT "dit" 3 3 4 2 5;
    SSBS "ssbs" 3 3 4 2 6;
    TCO "tco" 3 3 4 2 7;
    FPCR "fpcr" 3 3 4 4 0;
    FPSR "fpsr" 3 3 4 4 1;
    SPSR_EL2 "spsr_el2" 3 4 4 0 0;
    ELR_EL2 "elr_el2" 3 4 4 0 1;
    SP_EL1 "sp_el1" 3 4 4 1 0;
    SPSR_EL3 "spsr_el3" 3 6 4 0 0;
    ELR_EL3 "elr_el3" 3 6 4 0 1;
    SP_EL2 "sp_el2" 3 6 4 1 0;
    AFSR0_EL1 "afsr0_el1" 3 0 5 1 0;
    AFSR1_EL1 "afsr1_el1" 3 0 5 1 1;
    ESR_EL1 "esr_el1" 3 0 5 2 0;
    FAR_EL1 "far_el1" 3 0 6 0 0;
    ESR_EL2 "esr_el2" 3 4 5 2 0;
    FAR_EL2 "far_el2" 3 4 6 0 0;
    HPFAR_EL2 "hpfar_el2" 3 4 6 0 4;
    VBAR_EL1 "vbar_el1" 3 0 12 0 0;
    RVBAR_EL1 "rvbar_el1" 3 0 12 0 1;
    ISR_EL1 "isr_el1" 3 0 12 1 0;
    VBAR_EL2 "vbar_el2" 3 4 12 0 0;
    DISR_EL1 "disr_el1" 3 0 12 1 1;
    // Threads
    TPIDR_EL1 "tpidr_el1" 3 0 13 0 4;
    TPIDR_EL0 "tpidr_el0" 3 3 13 0 2;
    TPIDRRO_EL0 "tpidrro_el0" 3 3 13 0 3;
    TPIDR_EL2 "tpidr_el2" 3 4 13 0 2;
    // Interrupt controller
    ICC_PMR_EL1 "icc_pmr_el1" 3 0 4 6 0;
    ICC_IAR0_EL1 "icc_iar0_el1" 3 0 12 8 0;
    ICC_EOIR0_EL1 "icc_eoir0_el1" 3 0 12 8 1;
    ICC_DIR_EL1 "icc_dir_el1" 3 0 12 11 1;
    ICC_RPR_EL1 "icc_rpr_el1" 3 0 12 11 3;
    ICC_SGI1R_EL1 "icc_sgi1r_el1" 3 0 12 11 5;
    ICC_SGI0R_EL1 "icc_sgi0r_el1" 3 0 12 11 7;
    ICC_IAR1_EL1 "icc_iar1_el1" 3 0 12 12 0;
    ICC_EOIR1_EL1 "icc_eoir1_el1" 3 0 12 12 1;
    ICC_HPPIR1_EL1 "icc_hppir1_el1" 3 0 12 12 2;
    ICC_BPR1_EL1 "icc_bpr1_el1" 3 0 12 12 3;
    ICC_CTLR_EL1 "icc_ctlr_el1" 3 0 12 12 4;
    ICC_SRE_EL1 "icc_sre_el1" 3 0 12 12 5;
    ICC_IGRPEN0_EL1 "icc_igrpen0_el1" 3 0 12 12 6;
    ICC_IGRPEN1_EL1 "icc_igrpen1_el1" 3 0 12 12 7;
    ICC_SRE_EL2 "icc_sre_el2" 3 4 12 9 5;
    ICH_HCR_EL2 "ich_hcr_el2" 3 4 12 11 0;
    // Generic timer
    CNTKCTL_EL1 "cntkctl_el1" 3 0 14 1 0;
    CNTFRQ_EL0 "cntfrq_el0" 3 3 14 0 0;
    CNTPCT_EL0 "cntpct_el0" 3 3 14 0 1;
    CNTVCT_EL0 "cntvct_el0" 3 3 14 0 2;
    CNTPCTSS_EL0 "cntpctss_el0" 3 3 14 0 5;
    CNTVCTSS_EL0 "cntvctss_el0" 3 3 14 0 6;
    CNTP_TVAL_EL0 "cntp_tval_el0" 3 3 14 2 0;
    CNTP_CTL_EL0 "cntp_ctl_el0" 3 3 14 2 1;
    CNTP_CVAL_EL0 "cntp_cval_el0" 3 3 14 2 2;
    CNTV_TVAL_EL0 "cntv_tval_el0" 3 3 14 3 0;
    CNTV_CTL_EL0 "cntv_ctl_el0" 3 3 14 3 1;
    CNTV_CVAL_EL0 "cntv_cval_el0" 3 3 14 3 2;
    CNTVOFF_EL2 "cntvoff_el2" 3 4 14 0 3;
    CNTHCTL_EL2 "cnthctl_el2" 3 4 14 1 0;
    CNTHP_CTL_EL2 "cnthp_ctl_el2" 3 4 14 2 1;
    CNTHP_CVAL_EL2 "cnthp_cval_el2" 3 4 14 2 2;
    // Performance monitors
    PMINTENSET_EL1 "pmintenset_el1" 3 0 9 14 1;
    PMINTENCLR_EL1 "pmintenclr_el1" 3 0 9 14 2;
    PMCR_EL0 "pmcr_el0" 3 3 9 12 0;
    PMCNTENSET_EL0 "pmcntenset_el0" 3 3 9 12 1;
    PMCNTENCLR_EL0 "pmcntenclr_el0" 3 3 9 12 2;
    PMOVSCLR_EL0 "pmovsclr_el0" 3 3 9 12 3;
    PMSWINC_EL0 "pmswinc_el0" 3 3 9 12 4;
    PMSELR_EL0 "pmselr_el0" 3 3 9 12 5;
    PMCEID0_EL0 "pmceid0_el0" 3 3 9 12 6;
    PMCEID1_EL0 "pmceid1_el0" 3 3 9 12 7;
    PMCCNTR_EL0 "pmccntr_el0" 3 3 9 13 0;
    PMXEVTYPER_EL0 "pmxevtyper_el0" 3 3 9 13 1;
    PMXEVCNTR_EL0 "pmxevcntr_el0" 3 3 9 13 2;
    PMUSERENR_EL0 "pmuserenr_el0" 3 3 9 14 0;
    PMOVSSET_EL0 "pmovsset_el0" 3 3 9 14 3;
    PMCCFILTR_EL0 "pmccfiltr_el0" 3 3 14 15 7;
    // Debug
    OSDTRRX_EL1 "osdtrrx_el1" 2 0 0 0 2;
    MDCCINT_EL1 "mdccint_el1" 2 0 0 2 0;
    MDSCR_EL1 "mdscr_el1" 2 0 0 2 2;
    MDRAR_EL1 "mdrar_el1" 2 0 1 0 0;
    OSLAR_EL1 "oslar_el1" 2 0 1 0 4;
    OSLSR_EL1 "oslsr_el1" 2 0 1 1 4;
    OSDLR_EL1 "osdlr_el1" 2 0 1 3 4;
    MDCCSR_EL0 "mdccsr_el0" 2 3 0 1 0;
    DBGBVR0_EL1 "dbgbvr0_el1" 2 0 0 0 4;
    DBGBCR0_EL1 "dbgbcr0_el1" 2 0 0 0 5;
    DBGWVR0_EL1 "dbgwvr0_el1" 2 0 0 0 6;
    DBGWCR0_EL1 "dbgwcr0_el1" 2 0 0 0 7;
    DBGBVR1_EL1 "dbgbvr1_el1" 2 0 0 1 4;
    DBGBCR1_EL1 "dbgbcr1_el1" 2 0 0 1 5;
    DBGWVR1_EL1 "dbgwvr1_el1" 2 0 0 1 6;
    DBGWCR1_EL1 "dbgwcr1_el1" 2 0 0 1 7;
    DBGBVR2_EL1 "dbgbvr2_el1" 2 0 0 2 4;
    DBGBCR2_EL1 "dbgbcr2_el1" 2 0 0 2 5;
    DBGWVR2_EL1 "dbgwvr2_el1" 2 0 0 2 6;
    DBGWCR2_EL1 "dbgwcr2_el1" 2 0 0 2 7;
    DBGBVR3_EL1 "dbgbvr3_el1" 2 0 0 3 4;
    DBGBCR3_EL1 "dbgbcr3_el1" 2 0 0 3 5;
    DBGWVR3_EL1 "dbgwvr3_el1" 2 0 0 3 6;
    DBGWCR3_EL1 "dbgwcr3_el1" 2 0 0 3 7;
    DBGBVR4_EL1 "dbgbvr4_el1" 2 0 0 4 4;
    DBGBCR4_EL1 "dbgbcr4_el1" 2 0 0 4 5;
    DBGBVR5_EL1 "dbgbvr5_el1" 2 0 0 5 4;
    DBGBCR5_EL1 "dbgbcr5_el1" 2 0 0 5 5;
}

#[cfg(test)]
mod tests {
    use super::{NAMES, SysReg};
    use std::string::ToString;

    #[test]
    fn every_name_and_every_encoding_is_there_once() {
        for (i, (reg, name)) in NAMES.iter().enumerate() {
            for (other, other_name) in &NAMES[i + 1..] {
                assert!(reg != other && name != other_name, "{name} {other_name}");
            }
            assert_eq!(SysReg::from_field(reg.field()), *reg);
        }
    }

    #[test]
    fn a_nameless_register_prints_its_numbers() {
        assert_eq!(SysReg::new(3, 7, 15, 14, 6).to_string(), "s3_7_c15_c14_6");
        assert_eq!(SysReg::TPIDR_EL1.to_string(), "tpidr_el1");
        assert_eq!(SysReg::MDSCR_EL1.parts(), (2, 0, 0, 2, 2));
    }
}
