//! The upper 240 of xterm's 256 colours, which no terminal lets its user
//! change by habit: a cube of six steps each way, and a ramp of greys.

/// Red, green and blue of one of the 256 colours. The first 16 are a user's
/// own choice; they are given as xterm has them.
#[must_use]
pub fn rgb(index: u8) -> [u8; 3] {
    const XTERM: [[u8; 3]; 16] = [
        [0, 0, 0],
        [205, 0, 0],
        [0, 205, 0],
        [205, 205, 0],
        [0, 0, 238],
        [205, 0, 205],
        [0, 205, 205],
        [229, 229, 229],
        [127, 127, 127],
        [255, 0, 0],
        [0, 255, 0],
        [255, 255, 0],
        [92, 92, 255],
        [255, 0, 255],
        [0, 255, 255],
        [255, 255, 255],
    ];
    let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match index {
        0..16 => XTERM[usize::from(index)],
        16..232 => {
            let n = index - 16;
            [step(n / 36), step(n / 6 % 6), step(n % 6)]
        }
        232.. => [8 + 10 * (index - 232); 3],
    }
}
