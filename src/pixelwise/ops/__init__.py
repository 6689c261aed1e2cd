"""Functions without parameters. Each has one plain form, and others that equal it.

A folder has a Triton kernel, or an operator of others, among its forms: `plain` what the equations
say, `lean` the same in blocks, `kernel`, and `dispatch` the function that chooses by the rules of
`running.choice`. A file is all of that. `running` is what they share, and knows none of them.

    operation           what it does: users (forms)

    attention           all pixels see all: pam nonlocal isa psanet self_attention ann
                        (plain lean fused kernel)
    axis_attention      pixels see their row and column: crisscross (plain lean)
    axis_gate           gates by row and by column: coord (plain lean kernel)
    axis_means          means of rows and of columns: coord (plain lean)
    biased_attention    pixels see all, with a bias by place: dat (plain lean traced)
    binned_mean         means over a grid of bins: ann apcnet dmnet pspnet (plain traced)
    channel_attention   channels see all channels: cam (plain lean)
    channel_pools       largest and mean of each pixel: cbam cross_gates (plain lean)
    deformable          a convolution that reads at offsets: deform (plain lean traced operator)
    depthwise           every channel by itself: msca lka lska lsk (plain lean)
    encoding            residuals from soft codewords: encoding
                        (plain lean traced authors)
    factor_gate         one factor per channel or pixel: se eca cbam cross_gates (plain lean)
    joint_gate          channel and pixel in one sigmoid: bam (plain lean kernel)
    local_attention     pixels see a window: acmix acmix_window (plain lean kernel traced)
    outlier_gate        distance from the mean as a gate: simam (plain lean)
    neighbour_attention pixels see a window of their own: natten msda (plain lean traced)
    pixel_mean          mean of each channel: se eca scse bam cbam cross_gates (plain lean)
    pixel_pools         mean and largest of each channel: cbam (plain lean)
    point_reading       a map between its pixels: dysample freqfusion (plain traced operator)
    polarized_gate      gates by channel and by pixel: psa_p psa_s scse cbam (plain lean kernel)
    pooling             pixels summed by a softmax: psa_p psa_s gc dnl (plain lean kernel)
    reassembly          pixels as sums around them: carafe freqfusion (plain lean traced)
    self_gate           each value gates itself: nam (plain lean)
    self_similarity     pixels see all, alike both ways: nonlocal (plain lean attention)
    selective_scan      a recurrence through all pixels: ss2d (plain lean kernel traced)
    skewed_mask         each pixel draws its own mask: psanet (plain lean kernel)
    sorted_pairs        rectified sums over all pairs: nonlocal (plain lean traced)
    space_to_depth      blocks of pixels to channels: spd resnet (plain traced)
    streamed_projection a mixture of many softmaxes: psa_p psa_s (plain lean kernel)
    weighted_sum        sums over pixels or channels: cross_gates (plain lean)

Those with one form need no choice:

    between_pixels      a map read between its pixels: dat
    cells               grouping by cell or place: isa
    channel_shuffle     channels of several parts in turn: gam shuffle
    corners             what a resized pixel is made of: ocr self_attention
    neighbour_windows   windows and tiles of an axis: natten msda
    place_weights       scores to weights of pixels: gate
    region_routing      pixels gathered by region: biformer
    regions             what rough regions look like: ocr
    resized_convolution convolving resized small maps: networks
    resizing            bilinear resizing as numbers: psanet
    slot_weights        a memory normalised twice: external
    shifted_windows     windows of a shifted grid: acmix_window

`pixel_mean` is the mean alone of `pixel_pools`. `cross_gates` are channel_from_spatial and
spatial_from_channel; ann, apcnet, dmnet and pspnet are decoders, resnet is a backbone.
"""
