//! Data processing with an immediate (C4.1.92).

use super::op::Op::{
    AddImm, BitMask, BitMaskMov, ExtractWidth, Imm, InsertLsb, InsertWidth, LabelAdr, LabelAdrp, LabelBack16,
    LslAmount, R, Rsp, SImm, Scaled, W, Wide, WideMov, WideMovNot, X, Xsp,
};
use super::op::field::{D, M, N};
use super::rules::{
    bitfield, extract, inserts, logical_immediate, mov_bit_mask, mov_wide, mov_wide_not, moves_sp, rn_is_rm,
    shifts_left, to_last_bit, wide_move,
};
use super::{Section, row, section};

pub(super) const SECTIONS: &[Section] = &[
    section(
        "PC-rel. addressing",
        "x xx 10000 xxxxxxxxxxxxxxxxxxx xxxxx",
        &[
            row("0 ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "adr", &[X(D), LabelAdr]),
            row("1 ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "adrp", &[X(D), LabelAdrp]),
        ],
    ),
    section(
        "Add/subtract (immediate)",
        "x x x 100010 x xxxxxxxxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 100010 h iiiiiiiiiiii nnnnn ddddd", "add", &[Rsp(D), Rsp(N), AddImm]),
            row("s 0 1 100010 h iiiiiiiiiiii nnnnn ddddd", "adds", &[R(D), Rsp(N), AddImm]),
            row("s 1 0 100010 h iiiiiiiiiiii nnnnn ddddd", "sub", &[Rsp(D), Rsp(N), AddImm]),
            row("s 1 1 100010 h iiiiiiiiiiii nnnnn ddddd", "subs", &[R(D), Rsp(N), AddImm]),
        ],
    )
    .aliases(&[
        row("s 0 0 100010 0 000000000000 nnnnn ddddd", "mov", &[Rsp(D), Rsp(N)]).when(moves_sp),
        row("s 0 1 100010 h iiiiiiiiiiii nnnnn 11111", "cmn", &[Rsp(N), AddImm]),
        row("s 1 1 100010 h iiiiiiiiiiii nnnnn 11111", "cmp", &[Rsp(N), AddImm]),
    ]),
    section(
        "Add/subtract (immediate, with tags)",
        "x x x 100011 0 xxxxxxxxxxxx xxxxx xxxxx",
        &[
            row(
                "1 0 0 100011 0 iiiiii 00 tttt nnnnn ddddd",
                "addg",
                &[Xsp(D), Xsp(N), Scaled(16, 6, 16), Imm(10, 4)],
            ),
            row(
                "1 1 0 100011 0 iiiiii 00 tttt nnnnn ddddd",
                "subg",
                &[Xsp(D), Xsp(N), Scaled(16, 6, 16), Imm(10, 4)],
            ),
        ],
    ),
    section(
        "Min/max (immediate)",
        "x x x 100011 1 xxxxxxxxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 100011 1 0000 iiiiiiii nnnnn ddddd", "smax", &[R(D), R(N), SImm(10, 8)]),
            row("s 0 0 100011 1 0001 iiiiiiii nnnnn ddddd", "umax", &[R(D), R(N), Imm(10, 8)]),
            row("s 0 0 100011 1 0010 iiiiiiii nnnnn ddddd", "smin", &[R(D), R(N), SImm(10, 8)]),
            row("s 0 0 100011 1 0011 iiiiiiii nnnnn ddddd", "umin", &[R(D), R(N), Imm(10, 8)]),
        ],
    ),
    section(
        "Logical (immediate)",
        "x xx 100100 x xxxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 00 100100 N rrrrrr ssssss nnnnn ddddd", "and", &[Rsp(D), R(N), BitMask])
                .when(logical_immediate),
            row("s 01 100100 N rrrrrr ssssss nnnnn ddddd", "orr", &[Rsp(D), R(N), BitMask])
                .when(logical_immediate),
            row("s 10 100100 N rrrrrr ssssss nnnnn ddddd", "eor", &[Rsp(D), R(N), BitMask])
                .when(logical_immediate),
            row("s 11 100100 N rrrrrr ssssss nnnnn ddddd", "ands", &[R(D), R(N), BitMask])
                .when(logical_immediate),
        ],
    )
    .aliases(&[
        row("s 01 100100 N rrrrrr ssssss 11111 ddddd", "mov", &[Rsp(D), BitMaskMov]).when(mov_bit_mask),
        row("s 11 100100 N rrrrrr ssssss nnnnn 11111", "tst", &[R(N), BitMask]),
    ]),
    section(
        "Move wide (immediate)",
        "x xx 100101 xx xxxxxxxxxxxxxxxx xxxxx",
        &[
            row("s 00 100101 hh iiiiiiiiiiiiiiii ddddd", "movn", &[R(D), Wide]).when(wide_move),
            row("s 10 100101 hh iiiiiiiiiiiiiiii ddddd", "movz", &[R(D), Wide]).when(wide_move),
            row("s 11 100101 hh iiiiiiiiiiiiiiii ddddd", "movk", &[R(D), Wide]).when(wide_move),
        ],
    )
    .aliases(&[
        row("s 00 100101 hh iiiiiiiiiiiiiiii ddddd", "mov", &[R(D), WideMovNot]).when(mov_wide_not),
        row("s 10 100101 hh iiiiiiiiiiiiiiii ddddd", "mov", &[R(D), WideMov]).when(mov_wide),
    ]),
    section(
        "Bitfield",
        "x xx 100110 x xxxxxx xxxxxx xxxxx xxxxx",
        &[
            row("s 00 100110 N rrrrrr ssssss nnnnn ddddd", "sbfm", &[R(D), R(N), Imm(16, 6), Imm(10, 6)])
                .when(bitfield),
            row("s 01 100110 N rrrrrr ssssss nnnnn ddddd", "bfm", &[R(D), R(N), Imm(16, 6), Imm(10, 6)])
                .when(bitfield),
            row("s 10 100110 N rrrrrr ssssss nnnnn ddddd", "ubfm", &[R(D), R(N), Imm(16, 6), Imm(10, 6)])
                .when(bitfield),
        ],
    )
    .aliases(&[
        row("s 00 100110 N rrrrrr ssssss nnnnn ddddd", "asr", &[R(D), R(N), Imm(16, 6)]).when(to_last_bit),
        row("s 00 100110 N 000000 000111 nnnnn ddddd", "sxtb", &[R(D), W(N)]),
        row("s 00 100110 N 000000 001111 nnnnn ddddd", "sxth", &[R(D), W(N)]),
        row("1 00 100110 N 000000 011111 nnnnn ddddd", "sxtw", &[R(D), W(N)]),
        row("s 00 100110 N rrrrrr ssssss nnnnn ddddd", "sbfiz", &[R(D), R(N), InsertLsb, InsertWidth])
            .when(inserts),
        row("s 00 100110 N rrrrrr ssssss nnnnn ddddd", "sbfx", &[R(D), R(N), Imm(16, 6), ExtractWidth]),
        row("s 01 100110 N rrrrrr ssssss 11111 ddddd", "bfc", &[R(D), InsertLsb, InsertWidth]).when(inserts),
        row("s 01 100110 N rrrrrr ssssss nnnnn ddddd", "bfi", &[R(D), R(N), InsertLsb, InsertWidth])
            .when(inserts),
        row("s 01 100110 N rrrrrr ssssss nnnnn ddddd", "bfxil", &[R(D), R(N), Imm(16, 6), ExtractWidth]),
        row("s 10 100110 N rrrrrr ssssss nnnnn ddddd", "lsl", &[R(D), R(N), LslAmount]).when(shifts_left),
        row("s 10 100110 N rrrrrr ssssss nnnnn ddddd", "lsr", &[R(D), R(N), Imm(16, 6)]).when(to_last_bit),
        row("0 10 100110 N 000000 000111 nnnnn ddddd", "uxtb", &[W(D), W(N)]),
        row("0 10 100110 N 000000 001111 nnnnn ddddd", "uxth", &[W(D), W(N)]),
        row("s 10 100110 N rrrrrr ssssss nnnnn ddddd", "ubfiz", &[R(D), R(N), InsertLsb, InsertWidth])
            .when(inserts),
        row("s 10 100110 N rrrrrr ssssss nnnnn ddddd", "ubfx", &[R(D), R(N), Imm(16, 6), ExtractWidth]),
    ]),
    section(
        "Extract",
        "x xx 100111 x x xxxxx xxxxxx xxxxx xxxxx",
        &[row("s 00 100111 N 0 mmmmm ssssss nnnnn ddddd", "extr", &[R(D), R(N), R(M), Imm(10, 6)])
            .when(extract)],
    )
    .aliases(&[
        row("s 00 100111 N 0 mmmmm ssssss nnnnn ddddd", "ror", &[R(D), R(N), Imm(10, 6)]).when(rn_is_rm)
    ]),
    section(
        "Data-processing (1 source immediate)",
        "1 11 100111 xx xxxxxxxxxxxxxxxx xxxxx",
        &[
            row("1 11 100111 00 iiiiiiiiiiiiiiii 11111", "autiasppc", &[LabelBack16]),
            row("1 11 100111 01 iiiiiiiiiiiiiiii 11111", "autibsppc", &[LabelBack16]),
        ],
    ),
];
