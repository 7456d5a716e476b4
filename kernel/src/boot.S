// From the boot loader to Rust: Image header, drop to EL1, first page tables, MMU on, jump to the upper half.
//
// Protocol (Linux Documentation/arch/arm64/booting.rst): MMU and D-cache off, x0 = physical address of the DTB,
// entry at EL2 or EL1 with interrupts masked, image at a 2 MiB boundary.
//
// Live across the whole path:   x20 boot EL   x21 DTB (PA)   x24 image (PA)
//
// Page tables made here (all in .boot_tables, zero in the file):
//
//   TTBR0  identity, for the one moment in which the MMU goes on   idmap_l0 → idmap_l1 → idmap_l2: one 2 MiB block, RX
//   TTBR1  the image at KIMAGE_VADDR                               boot_l0 → boot_l1 → boot_l2 → boot_l3[BOOT_L3_TABLES]
//
//   __image_start … __rx_end       read-only, executable at EL1
//   __rodata_start … __rodata_end  read-only, never executable
//   __data_start … __data_end      writable, never executable
//   gap                            unmapped: the guard page of the boot stack
//   __boot_stack_start … _end      writable, never executable
//   __ksyms_start …                mapped later by Rust, which reads its length first
//
// Rust replaces both by its own tables (arch/mmu.rs) with the same rights.

.equ PTE_PAGE,      0x3                     // valid, page (or table)
.equ PTE_BLOCK,     0x1
.equ PTE_NORMAL,    (1 << 2)                // MAIR index 1
.equ PTE_RO,        (1 << 7)                // AP[2]
.equ PTE_SH_INNER,  (3 << 8)
.equ PTE_AF,        (1 << 10)
.equ PTE_COMMON,    (PTE_NORMAL | PTE_SH_INNER | PTE_AF)
.equ PTE_PXN_SHIFT, 53
.equ PTE_UXN_SHIFT, 54

.section .head.text, "ax"
.global _start
.type _start, %function
_start:
    b       primary_entry                   // code0
    .long   0                               // code1
    .quad   0                               // text_offset
    .quad   __image_size                    // image_size; xtask adds the symbol blob
    .quad   0xa                             // flags: little endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0
.size _start, . - _start

.section .idmap.text, "ax"

.type primary_entry, %function
primary_entry:
    mov     x21, x0
    bl      enter_el1
    adrp    x24, __image_start
    bl      make_boot_tables
    adrp    x0, boot_l0
    bl      mmu_on
    ldr     x8, =primary_high
    br      x8
.size primary_entry, . - primary_entry

// A CPU started by PSCI: x0 = its logical number. It uses the tables that Rust has made since.
.global secondary_entry
.type secondary_entry, %function
secondary_entry:
    mov     x22, x0
    bl      enter_el1
    adrp    x0, SECONDARY_TTBR1
    ldr     x0, [x0, #:lo12:SECONDARY_TTBR1]
    bl      mmu_on
    ldr     x8, =secondary_high
    br      x8
.size secondary_entry, . - secondary_entry

// Leaves EL2, if that is where we are. Returns at EL1h, all of DAIF masked, x20 = the EL we came from.
// Clobbers x9, x10.
.type enter_el1, %function
enter_el1:
    ldr     x10, =SCTLR_BOOT
    msr     sctlr_el1, x10                  // MMU and caches off, known RES1 bits
    isb
    mrs     x9, CurrentEL
    lsr     x20, x9, #2
    cmp     x20, #2
    b.eq    1f
    msr     daifset, #0xf
    ret
1:  mov     x9, #(1 << 31)                  // HCR_EL2.RW: EL1 is AArch64; no traps, no stage 2
    msr     hcr_el2, x9
    isb
    mrs     x9, cnthctl_el2                 // EL1 may use the physical counter and timer
    orr     x9, x9, #3
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9
    mov     x9, #0x33ff                     // CPTR_EL2: RES1 bits only, no trap of FP
    msr     cptr_el2, x9
    msr     hstr_el2, xzr
    mrs     x9, pmcr_el0                    // MDCR_EL2.HPMN = PMCR_EL0.N: all counters are EL1's, no debug traps
    ubfx    x9, x9, #11, #5
    msr     mdcr_el2, x9
    mrs     x9, id_aa64pfr0_el1             // GIC system registers: let EL1 use them
    ubfx    x9, x9, #24, #4
    cbz     x9, 2f
    mrs     x9, S3_4_C12_C9_5               // ICC_SRE_EL2: SRE | Enable
    mov     x10, #9
    orr     x9, x9, x10
    msr     S3_4_C12_C9_5, x9
    isb
    msr     S3_4_C12_C11_0, xzr             // ICH_HCR_EL2: no virtual interrupts
2:  mov     x9, #0x3c5                      // SPSR: DAIF masked, EL1h
    msr     spsr_el2, x9
    msr     elr_el2, x30
    eret
.size enter_el1, . - enter_el1

// Fills the tables drawn above. Clobbers x0-x8.
.type make_boot_tables, %function
make_boot_tables:
    mov     x8, x30
    // Identity: one 2 MiB block that covers this code.
    adrp    x0, idmap_l0
    adrp    x1, idmap_l1
    adrp    x2, idmap_l2
    orr     x3, x1, #PTE_PAGE
    lsr     x4, x24, #39
    and     x4, x4, #511
    str     x3, [x0, x4, lsl #3]
    orr     x3, x2, #PTE_PAGE
    lsr     x4, x24, #30
    and     x4, x4, #511
    str     x3, [x1, x4, lsl #3]
    ldr     x5, =(PTE_BLOCK | PTE_COMMON | PTE_RO | (1 << PTE_UXN_SHIFT))
    and     x3, x24, #~0x1fffff
    orr     x3, x3, x5
    lsr     x4, x24, #21
    and     x4, x4, #511
    str     x3, [x2, x4, lsl #3]
    // Upper half: chain the tables, then the ranges.
    adrp    x0, boot_l0
    adrp    x1, boot_l1
    adrp    x2, boot_l2
    adrp    x3, boot_l3
    orr     x4, x1, #PTE_PAGE
    str     x4, [x0, #8 * ((KIMAGE_VADDR >> 39) & 511)]
    orr     x4, x2, #PTE_PAGE
    str     x4, [x1, #8 * ((KIMAGE_VADDR >> 30) & 511)]
    orr     x4, x3, #PTE_PAGE
    mov     x5, #BOOT_L3_TABLES
1:  str     x4, [x2], #8                    // KIMAGE_VADDR is 1 GiB aligned: L2 entries from 0
    add     x4, x4, #4096
    subs    x5, x5, #1
    b.ne    1b
    ldr     x5, =(PTE_PAGE | PTE_COMMON | PTE_RO | (1 << PTE_UXN_SHIFT))
    adrp    x0, __image_start
    adrp    x1, __rx_end
    bl      map_image_range
    ldr     x5, =(PTE_PAGE | PTE_COMMON | PTE_RO | (1 << PTE_UXN_SHIFT) | (1 << PTE_PXN_SHIFT))
    adrp    x0, __rodata_start
    adrp    x1, __rodata_end
    bl      map_image_range
    ldr     x5, =(PTE_PAGE | PTE_COMMON | (1 << PTE_UXN_SHIFT) | (1 << PTE_PXN_SHIFT))
    adrp    x0, __data_start
    adrp    x1, __data_end
    bl      map_image_range
    adrp    x0, __boot_stack_start
    adrp    x1, __boot_stack_end
    bl      map_image_range
    // What was written with the D-cache off must not be hidden by stale lines once it is on.
    dmb     sy
    adrp    x0, __boot_tables_start
    adrp    x1, __boot_tables_end
2:  dc      ivac, x0
    add     x0, x0, #16                     // the smallest line the architecture allows
    cmp     x0, x1
    b.lo    2b
    dsb     sy
    ret     x8
.size make_boot_tables, . - make_boot_tables

// Maps image pages [x0, x1) (physical) with attributes x5. Clobbers x0, x2-x4.
.type map_image_range, %function
map_image_range:
    adrp    x2, boot_l3
1:  cmp     x0, x1
    b.hs    2f
    sub     x3, x0, x24
    lsr     x3, x3, #12
    orr     x4, x0, x5
    str     x4, [x2, x3, lsl #3]            // the L3 tables lie side by side: one array of pages
    add     x0, x0, #4096
    b       1b
2:  ret
.size map_image_range, . - map_image_range

// Turns the MMU on: x0 = TTBR1 (PA). Runs in the identity map when it returns. Clobbers x9, x10.
.type mmu_on, %function
mmu_on:
    ldr     x9, =MAIR_VALUE
    msr     mair_el1, x9
    ldr     x9, =TCR_VALUE
    mrs     x10, id_aa64mmfr0_el1           // IPS: as many address bits as the CPU has (at most 48)
    and     x10, x10, #0xf
    cmp     x10, #5
    b.ls    1f
    mov     x10, #5
1:  bfi     x9, x10, #32, #3
    msr     tcr_el1, x9
    adrp    x9, idmap_l0
    msr     ttbr0_el1, x9
    msr     ttbr1_el1, x0
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x9, =SCTLR_ON
    msr     sctlr_el1, x9
    isb
    ic      iallu
    dsb     nsh
    isb
    ret
.size mmu_on, . - mmu_on

.section .entry.text, "ax"

.type primary_high, %function
primary_high:
    adrp    x0, __boot_stack_end
    mov     sp, x0
    bl      cpu_common
    // This CPU's copy of the per-CPU template is the first.
    adrp    x0, __percpu_areas
    add     x0, x0, #:lo12:__percpu_areas
    adrp    x1, __percpu_start
    add     x1, x1, #:lo12:__percpu_start
    sub     x0, x0, x1
    msr     tpidr_el1, x0
    adrp    x0, {boot_thread}
    add     x0, x0, #:lo12:{boot_thread}
    msr     sp_el0, x0
    mov     x29, xzr                        // the end of every backtrace
    mov     x30, xzr
    mov     x0, x21
    mov     x1, x24
    mov     x2, x20
    bl      {primary}
    brk     #0x800
.size primary_high, . - primary_high

.type secondary_high, %function
secondary_high:
    adrp    x0, {secondary_boot}
    add     x0, x0, #:lo12:{secondary_boot}
    ldr     x1, [x0, #{sb_stack_top}]
    mov     sp, x1
    ldr     x1, [x0, #{sb_percpu_offset}]
    msr     tpidr_el1, x1
    ldr     x1, [x0, #{sb_thread}]
    msr     sp_el0, x1
    bl      cpu_common
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x22
    bl      {secondary}
    brk     #0x800
.size secondary_high, . - secondary_high

// What every CPU sets up before its first Rust. Clobbers x9.
.type cpu_common, %function
cpu_common:
    adrp    x9, vectors
    add     x9, x9, #:lo12:vectors
    msr     vbar_el1, x9
    mov     x9, #(3 << 20)                  // CPACR_EL1.FPEN: FP and SIMD do not trap; the kernel itself has none
    msr     cpacr_el1, x9
    msr     oslar_el1, xzr                  // OS lock off: debug exceptions can happen
    msr     mdscr_el1, xzr
    adrp    x9, {empty_table}               // nothing below the upper half: null is unmapped
    add     x9, x9, #:lo12:{empty_table}
    ldr     x9, [x9]
    cbz     x9, 1f                          // the boot CPU drops the identity map later, in Rust
    msr     ttbr0_el1, x9
    isb
    tlbi    vmalle1
    dsb     nsh
1:  isb
    ret
.size cpu_common, . - cpu_common

.section .boot_tables, "aw", %nobits
.balign 4096
idmap_l0:   .space 4096
idmap_l1:   .space 4096
idmap_l2:   .space 4096
boot_l0:    .space 4096
boot_l1:    .space 4096
boot_l2:    .space 4096
boot_l3:    .space 4096 * BOOT_L3_TABLES
