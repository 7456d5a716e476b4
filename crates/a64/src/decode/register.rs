//! Data processing with registers (C4.1.95).

use super::op::Op::{Cond, CondNot, ExtendAmount, ExtendedReg, Imm, Lsl3, R, Rsp, ShiftAmount, W, X, Xsp};
use super::op::field::{A, D, M, N};
use super::rules::{
    conditional_negate, conditional_of_one, extend_fits, has_opposite, shift_fits, shift_of_addition,
};
use super::{Section, row, section};

pub(super) const SECTIONS: &[Section] = &[
    section(
        "Data-processing (2 source)",
        "x 0 x 11010110 xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("1 0 0 11010110 mmmmm 000000 nnnnn ddddd", "subp", &[X(D), Xsp(N), Xsp(M)]),
            row("1 0 1 11010110 mmmmm 000000 nnnnn ddddd", "subps", &[X(D), Xsp(N), Xsp(M)]),
            row("s 0 0 11010110 mmmmm 000010 nnnnn ddddd", "udiv", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 000011 nnnnn ddddd", "sdiv", &[R(D), R(N), R(M)]),
            row("1 0 0 11010110 mmmmm 000100 nnnnn ddddd", "irg", &[Xsp(D), Xsp(N), X(M)]),
            row("1 0 0 11010110 mmmmm 000101 nnnnn ddddd", "gmi", &[X(D), Xsp(N), X(M)]),
            row("s 0 0 11010110 mmmmm 001000 nnnnn ddddd", "lslv", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 001001 nnnnn ddddd", "lsrv", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 001010 nnnnn ddddd", "asrv", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 001011 nnnnn ddddd", "rorv", &[R(D), R(N), R(M)]),
            row("1 0 0 11010110 mmmmm 001100 nnnnn ddddd", "pacga", &[X(D), X(N), Xsp(M)]),
            row("0 0 0 11010110 mmmmm 010000 nnnnn ddddd", "crc32b", &[W(D), W(N), W(M)]),
            row("0 0 0 11010110 mmmmm 010001 nnnnn ddddd", "crc32h", &[W(D), W(N), W(M)]),
            row("0 0 0 11010110 mmmmm 010010 nnnnn ddddd", "crc32w", &[W(D), W(N), W(M)]),
            row("1 0 0 11010110 mmmmm 010011 nnnnn ddddd", "crc32x", &[W(D), W(N), X(M)]),
            row("0 0 0 11010110 mmmmm 010100 nnnnn ddddd", "crc32cb", &[W(D), W(N), W(M)]),
            row("0 0 0 11010110 mmmmm 010101 nnnnn ddddd", "crc32ch", &[W(D), W(N), W(M)]),
            row("0 0 0 11010110 mmmmm 010110 nnnnn ddddd", "crc32cw", &[W(D), W(N), W(M)]),
            row("1 0 0 11010110 mmmmm 010111 nnnnn ddddd", "crc32cx", &[W(D), W(N), X(M)]),
            row("s 0 0 11010110 mmmmm 011000 nnnnn ddddd", "smax", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 011001 nnnnn ddddd", "umax", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 011010 nnnnn ddddd", "smin", &[R(D), R(N), R(M)]),
            row("s 0 0 11010110 mmmmm 011011 nnnnn ddddd", "umin", &[R(D), R(N), R(M)]),
        ],
    )
    .aliases(&[
        row("1 0 0 11010110 11111 000100 nnnnn ddddd", "irg", &[Xsp(D), Xsp(N)]),
        row("1 0 1 11010110 mmmmm 000000 nnnnn 11111", "cmpp", &[Xsp(N), Xsp(M)]),
        row("s 0 0 11010110 mmmmm 001000 nnnnn ddddd", "lsl", &[R(D), R(N), R(M)]),
        row("s 0 0 11010110 mmmmm 001001 nnnnn ddddd", "lsr", &[R(D), R(N), R(M)]),
        row("s 0 0 11010110 mmmmm 001010 nnnnn ddddd", "asr", &[R(D), R(N), R(M)]),
        row("s 0 0 11010110 mmmmm 001011 nnnnn ddddd", "ror", &[R(D), R(N), R(M)]),
    ]),
    section(
        "Data-processing (1 source)",
        "x 1 0 11010110 00000 xxxxxx xxxxx xxxxx",
        &[
            row("s 1 0 11010110 00000 000000 nnnnn ddddd", "rbit", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 000001 nnnnn ddddd", "rev16", &[R(D), R(N)]),
            row("0 1 0 11010110 00000 000010 nnnnn ddddd", "rev", &[R(D), R(N)]),
            row("1 1 0 11010110 00000 000010 nnnnn ddddd", "rev32", &[R(D), R(N)]),
            row("1 1 0 11010110 00000 000011 nnnnn ddddd", "rev", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 000100 nnnnn ddddd", "clz", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 000101 nnnnn ddddd", "cls", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 000110 nnnnn ddddd", "ctz", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 000111 nnnnn ddddd", "cnt", &[R(D), R(N)]),
            row("s 1 0 11010110 00000 001000 nnnnn ddddd", "abs", &[R(D), R(N)]),
        ],
    ),
    section(
        "Data-processing (1 source), pointer authentication",
        "1 1 0 11010110 00001 xxxxxx xxxxx xxxxx",
        &[
            row("1 1 0 11010110 00001 000000 nnnnn ddddd", "pacia", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000001 nnnnn ddddd", "pacib", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000010 nnnnn ddddd", "pacda", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000011 nnnnn ddddd", "pacdb", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000100 nnnnn ddddd", "autia", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000101 nnnnn ddddd", "autib", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000110 nnnnn ddddd", "autda", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 000111 nnnnn ddddd", "autdb", &[X(D), Xsp(N)]),
            row("1 1 0 11010110 00001 001000 11111 ddddd", "paciza", &[X(D)]),
            row("1 1 0 11010110 00001 001001 11111 ddddd", "pacizb", &[X(D)]),
            row("1 1 0 11010110 00001 001010 11111 ddddd", "pacdza", &[X(D)]),
            row("1 1 0 11010110 00001 001011 11111 ddddd", "pacdzb", &[X(D)]),
            row("1 1 0 11010110 00001 001100 11111 ddddd", "autiza", &[X(D)]),
            row("1 1 0 11010110 00001 001101 11111 ddddd", "autizb", &[X(D)]),
            row("1 1 0 11010110 00001 001110 11111 ddddd", "autdza", &[X(D)]),
            row("1 1 0 11010110 00001 001111 11111 ddddd", "autdzb", &[X(D)]),
            row("1 1 0 11010110 00001 010000 11111 ddddd", "xpaci", &[X(D)]),
            row("1 1 0 11010110 00001 010001 11111 ddddd", "xpacd", &[X(D)]),
            row("1 1 0 11010110 00001 100000 11111 11110", "pacnbiasppc", &[]),
            row("1 1 0 11010110 00001 100001 11111 11110", "pacnbibsppc", &[]),
            row("1 1 0 11010110 00001 100010 11111 11110", "pacia171615", &[]),
            row("1 1 0 11010110 00001 100011 11111 11110", "pacib171615", &[]),
            row("1 1 0 11010110 00001 100100 nnnnn 11110", "autiasppcr", &[X(N)]),
            row("1 1 0 11010110 00001 100101 nnnnn 11110", "autibsppcr", &[X(N)]),
            row("1 1 0 11010110 00001 101000 11111 11110", "paciasppc", &[]),
            row("1 1 0 11010110 00001 101001 11111 11110", "pacibsppc", &[]),
            row("1 1 0 11010110 00001 101110 11111 11110", "autia171615", &[]),
            row("1 1 0 11010110 00001 101111 11111 11110", "autib171615", &[]),
        ],
    ),
    section(
        "Logical (shifted register)",
        "x xx 01010 xx x xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 00 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "and", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 00 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "bic", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 01 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "orr", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 01 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "orn", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 10 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "eor", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 10 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "eon", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 11 01010 hh 0 mmmmm iiiiii nnnnn ddddd", "ands", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
            row("s 11 01010 hh 1 mmmmm iiiiii nnnnn ddddd", "bics", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_fits),
        ],
    )
    .aliases(&[
        row("s 01 01010 00 0 mmmmm 000000 11111 ddddd", "mov", &[R(D), R(M)]),
        row("s 01 01010 hh 1 mmmmm iiiiii 11111 ddddd", "mvn", &[R(D), R(M), ShiftAmount]),
        row("s 11 01010 hh 0 mmmmm iiiiii nnnnn 11111", "tst", &[R(N), R(M), ShiftAmount]),
    ]),
    section(
        "Add/subtract (shifted register)",
        "x x x 01011 xx 0 xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "add", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_of_addition),
            row("s 0 1 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "adds", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_of_addition),
            row("s 1 0 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "sub", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_of_addition),
            row("s 1 1 01011 hh 0 mmmmm iiiiii nnnnn ddddd", "subs", &[R(D), R(N), R(M), ShiftAmount])
                .when(shift_of_addition),
        ],
    )
    .aliases(&[
        row("s 0 1 01011 hh 0 mmmmm iiiiii nnnnn 11111", "cmn", &[R(N), R(M), ShiftAmount]),
        row("s 1 0 01011 hh 0 mmmmm iiiiii 11111 ddddd", "neg", &[R(D), R(M), ShiftAmount]),
        row("s 1 1 01011 hh 0 mmmmm iiiiii nnnnn 11111", "cmp", &[R(N), R(M), ShiftAmount]),
        row("s 1 1 01011 hh 0 mmmmm iiiiii 11111 ddddd", "negs", &[R(D), R(M), ShiftAmount]),
    ]),
    section(
        "Add/subtract (extended register)",
        "x x x 01011 xx 1 xxxxx xxxxxx xxxxx xxxxx",
        &[
            row(
                "s 0 0 01011 00 1 mmmmm oooiii nnnnn ddddd",
                "add",
                &[Rsp(D), Rsp(N), ExtendedReg, ExtendAmount],
            )
            .when(extend_fits),
            row(
                "s 0 1 01011 00 1 mmmmm oooiii nnnnn ddddd",
                "adds",
                &[R(D), Rsp(N), ExtendedReg, ExtendAmount],
            )
            .when(extend_fits),
            row(
                "s 1 0 01011 00 1 mmmmm oooiii nnnnn ddddd",
                "sub",
                &[Rsp(D), Rsp(N), ExtendedReg, ExtendAmount],
            )
            .when(extend_fits),
            row(
                "s 1 1 01011 00 1 mmmmm oooiii nnnnn ddddd",
                "subs",
                &[R(D), Rsp(N), ExtendedReg, ExtendAmount],
            )
            .when(extend_fits),
        ],
    )
    .aliases(&[
        row("s 0 1 01011 00 1 mmmmm oooiii nnnnn 11111", "cmn", &[Rsp(N), ExtendedReg, ExtendAmount]),
        row("s 1 1 01011 00 1 mmmmm oooiii nnnnn 11111", "cmp", &[Rsp(N), ExtendedReg, ExtendAmount]),
    ]),
    section(
        "Add/subtract (with carry), and of checked pointers",
        "x x x 11010000 xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 11010000 mmmmm 000000 nnnnn ddddd", "adc", &[R(D), R(N), R(M)]),
            row("s 0 1 11010000 mmmmm 000000 nnnnn ddddd", "adcs", &[R(D), R(N), R(M)]),
            row("s 1 0 11010000 mmmmm 000000 nnnnn ddddd", "sbc", &[R(D), R(N), R(M)]),
            row("s 1 1 11010000 mmmmm 000000 nnnnn ddddd", "sbcs", &[R(D), R(N), R(M)]),
            row("1 0 0 11010000 mmmmm 001iii nnnnn ddddd", "addpt", &[Xsp(D), Xsp(N), X(M), Lsl3]),
            row("1 1 0 11010000 mmmmm 001iii nnnnn ddddd", "subpt", &[Xsp(D), Xsp(N), X(M), Lsl3]),
            // Rotate right into flags, evaluate into flags.
            row("1 0 1 11010000 iiiiii 00001 nnnnn 0 ffff", "rmif", &[X(N), Imm(15, 6), Imm(0, 4)]),
            row("0 0 1 11010000 00000 000010 nnnnn 0 1101", "setf8", &[W(N)]),
            row("0 0 1 11010000 00000 010010 nnnnn 0 1101", "setf16", &[W(N)]),
        ],
    )
    .aliases(&[
        row("s 1 0 11010000 mmmmm 000000 11111 ddddd", "ngc", &[R(D), R(M)]),
        row("s 1 1 11010000 mmmmm 000000 11111 ddddd", "ngcs", &[R(D), R(M)]),
    ]),
    section(
        "Conditional compare",
        "x x 1 11010010 xxxxx xxxxxx xxxxx x xxxx",
        &[
            row("s 0 1 11010010 mmmmm cccc 00 nnnnn 0 ffff", "ccmn", &[R(N), R(M), Imm(0, 4), Cond(12)]),
            row("s 1 1 11010010 mmmmm cccc 00 nnnnn 0 ffff", "ccmp", &[R(N), R(M), Imm(0, 4), Cond(12)]),
            row(
                "s 0 1 11010010 iiiii cccc 10 nnnnn 0 ffff",
                "ccmn",
                &[R(N), Imm(16, 5), Imm(0, 4), Cond(12)],
            ),
            row(
                "s 1 1 11010010 iiiii cccc 10 nnnnn 0 ffff",
                "ccmp",
                &[R(N), Imm(16, 5), Imm(0, 4), Cond(12)],
            ),
        ],
    ),
    section(
        "Conditional select",
        "x x 0 11010100 xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 11010100 mmmmm cccc 00 nnnnn ddddd", "csel", &[R(D), R(N), R(M), Cond(12)]),
            row("s 0 0 11010100 mmmmm cccc 01 nnnnn ddddd", "csinc", &[R(D), R(N), R(M), Cond(12)]),
            row("s 1 0 11010100 mmmmm cccc 00 nnnnn ddddd", "csinv", &[R(D), R(N), R(M), Cond(12)]),
            row("s 1 0 11010100 mmmmm cccc 01 nnnnn ddddd", "csneg", &[R(D), R(N), R(M), Cond(12)]),
        ],
    )
    .aliases(&[
        row("s 0 0 11010100 11111 cccc 01 11111 ddddd", "cset", &[R(D), CondNot(12)]).when(has_opposite),
        row("s 0 0 11010100 mmmmm cccc 01 nnnnn ddddd", "cinc", &[R(D), R(N), CondNot(12)])
            .when(conditional_of_one),
        row("s 1 0 11010100 11111 cccc 00 11111 ddddd", "csetm", &[R(D), CondNot(12)]).when(has_opposite),
        row("s 1 0 11010100 mmmmm cccc 00 nnnnn ddddd", "cinv", &[R(D), R(N), CondNot(12)])
            .when(conditional_of_one),
        row("s 1 0 11010100 mmmmm cccc 01 nnnnn ddddd", "cneg", &[R(D), R(N), CondNot(12)])
            .when(conditional_negate),
    ]),
    section(
        "Data-processing (3 source)",
        "x xx 11011 xxx xxxxx x xxxxx xxxxx xxxxx",
        &[
            row("s 00 11011 000 mmmmm 0 aaaaa nnnnn ddddd", "madd", &[R(D), R(N), R(M), R(A)]),
            row("s 00 11011 000 mmmmm 1 aaaaa nnnnn ddddd", "msub", &[R(D), R(N), R(M), R(A)]),
            row("1 00 11011 001 mmmmm 0 aaaaa nnnnn ddddd", "smaddl", &[X(D), W(N), W(M), X(A)]),
            row("1 00 11011 001 mmmmm 1 aaaaa nnnnn ddddd", "smsubl", &[X(D), W(N), W(M), X(A)]),
            row("1 00 11011 010 mmmmm 0 11111 nnnnn ddddd", "smulh", &[X(D), X(N), X(M)]),
            row("1 00 11011 011 mmmmm 0 aaaaa nnnnn ddddd", "maddpt", &[X(D), X(N), X(M), X(A)]),
            row("1 00 11011 011 mmmmm 1 aaaaa nnnnn ddddd", "msubpt", &[X(D), X(N), X(M), X(A)]),
            row("1 00 11011 101 mmmmm 0 aaaaa nnnnn ddddd", "umaddl", &[X(D), W(N), W(M), X(A)]),
            row("1 00 11011 101 mmmmm 1 aaaaa nnnnn ddddd", "umsubl", &[X(D), W(N), W(M), X(A)]),
            row("1 00 11011 110 mmmmm 0 11111 nnnnn ddddd", "umulh", &[X(D), X(N), X(M)]),
        ],
    )
    .aliases(&[
        row("s 00 11011 000 mmmmm 0 11111 nnnnn ddddd", "mul", &[R(D), R(N), R(M)]),
        row("s 00 11011 000 mmmmm 1 11111 nnnnn ddddd", "mneg", &[R(D), R(N), R(M)]),
        row("1 00 11011 001 mmmmm 0 11111 nnnnn ddddd", "smull", &[X(D), W(N), W(M)]),
        row("1 00 11011 001 mmmmm 1 11111 nnnnn ddddd", "smnegl", &[X(D), W(N), W(M)]),
        row("1 00 11011 101 mmmmm 0 11111 nnnnn ddddd", "umull", &[X(D), W(N), W(M)]),
        row("1 00 11011 101 mmmmm 1 11111 nnnnn ddddd", "umnegl", &[X(D), W(N), W(M)]),
    ]),
];
