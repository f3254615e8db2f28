"""The templates with Shapes: how the gallery names them, and what their notes say.

ComfyUI shows a template's file name as its title and as its description, so the name says the task,
and begins with the number that orders it. It names a file on every system: no colon, no slash.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """A template with Shapes.

    Arguments:
        number: where it stands: 1 to 9 begin, 10 on guide, 20 on edit, 30 on restore, 62 on edit by
            parts of several images, and what came later.
        title: what it does, in a few words.
        shows: what each of its images must show, as the oracle of Shapes reads them: a caption, or
            labels; empty where the task says more than that, or less.
        note: what its note says, in Markdown; the first sentence is the task.
    """

    number: int
    title: str
    shows: str
    note: str


EXAMPLES: dict[str, Example] = {
    "start-here": Example(
        1,
        "Start here",
        "a big blue circle",
        "**One node guides an image by a sentence.** Press *Run*: Shapes, a small model that "
        "comes with the pack, needs no download.\n\n"
        "*Guide with Text* stands between the model and the sampler. The prompt asks for a "
        "circle and leaves its colour open; the sentence makes it blue. With an amount of 0 any "
        "colour comes.\n\n"
        "**Try:** another colour in the sentence; weak and strong.\n\n"
        "**Your model:** load a checkpoint instead, connect its VAE, and put a CLIP file into "
        "models/guidance, such as CLIP-ViT-B-32.",
    ),
    "tour-what": Example(
        2,
        "Tour 1 of 3, what",
        "a big blue square",
        "**What you want is an energy: how far the image is from it.** At every step the "
        "energy's gradient moves the image a little closer.\n\n"
        "Here a CLIP network compares the image with a sentence; the prompt leaves the colour "
        "open. While *KSampler (Guided)* samples, its **monitor** draws the energy and the size "
        "of each push; *Plot Guidance Trace* makes an image of them.\n\n"
        "**Try:** another colour in the sentence; strength 0, which is the stock KSampler.\n\n"
        "Every node has a help page: *Node info* in its menu. Next: *Tour 2 of 3, when*.",
    ),
    "tour-when": Example(
        3,
        "Tour 2 of 3, when",
        "a big yellow triangle",
        "**When to push: an energy with a schedule.** A classifier asks for something yellow, and "
        "the **schedule** says at which steps.\n\n"
        "Drag the points of its curve, click to add one, press *bell* or *late*. Early steps "
        "decide what is where, late ones details.\n\n"
        "**Try:** end the curve at 0.1, and the yellow is gone.\n\n"
        "For other samplers an energy goes into a *rule*, and the rule into *Apply Guidance*: "
        "see *Guide by a label*. Next: *Tour 3 of 3, where*.",
    ),
    "tour-where": Example(
        4,
        "Tour 3 of 3, where",
        "a big red circle",
        "**Where: words of the prompt, in a box.** Energies of attention read where the model "
        "sees a word; this one draws it into the box.\n\n"
        "Click words in **Which words**. **Drag the box** or a corner, and run again.\n\n"
        "**Try:** the box on the other side; strength 1.\n\n"
        "In Shapes the colour fills the object best; with other models choose the noun. *Place "
        "words in boxes* does this in one node, for several words.",
    ),
    "guide-with-image": Example(
        5,
        "Guide with an image",
        "a big yellow circle",
        "**One node gives images the look of a reference.** *Guide with Image* copies its "
        "style, its likeness, its structure or, as here, its palette: the colours in their "
        "amounts.\n\n"
        "The reference is made here, so that it runs at once: put *Load Image* in its place.\n\n"
        "**Try:** another *copy*; weak and strong.",
    ),
    "place-words": Example(
        6,
        "Place words in boxes",
        "a big red circle and a small white square",
        "**One node puts objects of the prompt into boxes.** Drag the boxes of *Place Words in "
        "Boxes*; it encodes the prompt too.\n\n"
        "**Try:** swap the two boxes.\n\n"
        "**Your model:** load a checkpoint, write the prompt into the node, and draw a box for "
        "each object.",
    ),
    "missing-object": Example(
        7,
        "Fix missing objects",
        "a big red circle and a small white square",
        "**One node brings back what the model leaves out.** *Fix Missing Objects* finds the "
        "objects of the prompt and moves the first steps until the model attends to each, with "
        "its own colour (Attend-and-Excite).\n\n"
        "**Try:** amount 0, to see what is missing without it.",
    ),
    "keep-from-image": Example(
        8,
        "Keep the layout of an image",
        "a big blue square and a small yellow circle",
        "**One node keeps the layout of an image under another prompt.** *Keep from Image* looks "
        "at what the model itself makes of the image; objects of the prompt come where the image "
        "has its own.\n\n"
        "The image is made here, so that it runs at once: put *Load Image* in its place.\n\n"
        "**Try:** keep *look*, with a prompt that leaves the colours open; amount 0, to see where "
        "objects come without it.",
    ),
    "text-guided": Example(
        10,
        "A sentence alone, no prompt",
        "a big red circle",
        "**A sentence makes the image.** The prompt is empty: what the image shows comes from "
        "the sentence in *Energy: CLIP Text* alone, which takes a hundred steps where twenty do "
        "beside a prompt. `enough` rests when CLIP sees the sentence in the image; an image in "
        "which it does not goes back to the middle of the run, up to three `tries`.\n\n"
        "Then change the sentence, the strength or the tries; strength 0 is the stock KSampler. "
        "The plot shows the energy falling.",
    ),
    "classifier-guided": Example(
        11,
        "Guide by a label",
        "red",
        "**A classifier asks for something red.** *Rule: Forward* steers through the model, "
        "*Rule: Backward* refines the estimate, *Apply Guidance* gives both to the model, and "
        "the stock KSampler does the rest.\n\n"
        "**Try:** other labels: blue, circle, triangle, small ...",
    ),
    "several-guides": Example(
        12,
        "Several guides at once",
        "blue circle",
        "**Several guides at once.** The prompt asks for a circle; a segmenter says where, a "
        "classifier says which colour, total variation removes grain. One sum costs one pass "
        "through the model; energies of one network share its pass, and all share one decoding.",
    ),
    "style-from-image": Example(
        13,
        "Style of an image, by parts",
        "",
        "**Style and palette of an image.** The images take over which features and colours "
        "occur together in the reference (Gram matrices and colour distribution), not where "
        "they are.\n\n"
        "With your own models: a CLIP ViT-B-16 in *Load Guide: OpenCLIP*, layer 2 (FreeDoM), "
        "and a prompt for the content.",
    ),
    "few-steps": Example(
        14,
        "Guide in four steps",
        "red",
        "**Guided in four steps.** The LoRA *turbo* of *Load Shapes* makes a model of few "
        "steps, as LCM, Turbo and Lightning are: sampler `lcm`, scheduler `sgm_uniform`, CFG 1. "
        "There each push counts whole, so the strength is low (0.3); recurrences give guidance "
        "more chances (3), to the last step (*end_percent* 1).\n\n"
        "**Try:** other labels; strength 0.",
    ),
    "recurrent": Example(
        15,
        "Two labels, each step twice",
        "yellow circle",
        "**Two energies at once, with recurrences:** a circle, and something yellow. The "
        "*Recurrent Sampler* takes each step twice, so that model and guidance can agree; "
        "compare with recurrences 1.",
    ),
    "box-guided": Example(
        16,
        "Object in a box, by a detector",
        "a big red circle",
        "**An object in a box, by a detector.** *Energy: Detection* is the loss that the "
        "detector was trained with, as if your boxes were the truth: drag them on its node, and "
        "choose a class for each.\n\n"
        "A detector leads only once a shape is visible, and by then places are decided. So "
        "*Energy: Box* gives the same box to the model's own attention, strong at first and "
        "then weaker, and the early steps are taken three times; the detector then sees to "
        "class and size. Alone it succeeds with two seeds of five.\n\n"
        "Other models: choose the words of the object in *Prompt Words*.",
    ),
    "segmentation-guided": Example(
        17,
        "Object in a painted area",
        "a big green square",
        "**An object in a painted area.** The prompt says what, the mask where. *Energy: "
        "Segmentation* asks a segmenter whether the square lies in the painted area and nowhere "
        "else; *Rule: Forward* takes the gradient through the model.\n\n"
        "Places are decided early: the strength falls from 2 to 0, and the early steps are "
        "taken four times, so that model and guidance can agree.",
    ),
    "boxes": Example(
        18,
        "Two words in boxes, by parts",
        "a big red circle and a small white square",
        "**Boxes for two objects.** Each phrase of the prompt gets a box of its own: drag it on "
        "its node. *Energy: Box* draws the phrase's attention inside (layout guidance). "
        "The strength falls over the first half of the noise schedule: strong while places are "
        "undecided, gentle afterwards. *Place Words in Boxes* does this in one node.",
    ),
    "along-a-path": Example(
        19,
        "An object along a path",
        "red circle",
        "**An object follows a path, frame by frame.** The six images of the batch stand for a "
        "video. *Energy: Position* leads the circle along keyframes, a time from 0 to 1 and a "
        "point each; *Energy: Temporal* keeps colours from flickering. Both have `time` batch, so "
        "that one rule sees one video. The early steps are taken three times.\n\n"
        "**Try:** more keyframes, such as 0: 0.3 0.3; 0.5: 0.7 0.5; 1: 0.3 0.7; strength 0 in "
        "*Colours stay*.\n\n"
        "**Your model:** SVD and AnimateDiff sample batches, too. Where latents hold frames, as "
        "Wan's do, choose `time` latent frames: see *Wan 2.2 5B, an object on a path*.",
    ),
    "move-object": Example(
        20,
        "Move an object",
        "a big red circle",
        "**Move an object.** The source image is sampled and its attention recorded, to look "
        "at. The same seed is sampled again while *Energy: Position* moves the object to "
        "another place (Diffusion Self-Guidance). The strength falls during sampling: strong "
        "while places are undecided, gentle afterwards; with stop it has no effect once the "
        "object has arrived.\n\n"
        "Drag the crosshair; the source image is not sampled again. In Shapes the attention to the "
        "colour fills the object best; with other models choose the noun.",
    ),
    "resize-object": Example(
        21,
        "Resize an object",
        "red circle",
        "**Resize an object.** *Energy: Size* asks for 0.6 of the recorded area, *Energy: "
        "Position* keeps the place (Diffusion Self-Guidance). Sizes change once places are "
        "decided: from 20 to 90 % of the noise schedule. Try ratio 1.5.\n\n"
        "In Shapes the attention to the colour fills the object; with other models choose the "
        "noun.",
    ),
    "swap-appearance": Example(
        22,
        "Take over a look",
        "yellow circle",
        "**The look of one image in another.** The prompt leaves the colour open; a recording "
        "of another prompt gives it (*Energy: Appearance*, Diffusion Self-Guidance). Guidance "
        "begins at 20 %, when the place is decided, so no other energy has to keep it.\n\n"
        "Where the recorded prompt is another one, `source_tokens` take the word from a *Prompt "
        "Words* of its own; without them it must stand at the same place in both prompts, as here. "
        "`output.1.0` is the layer of Shapes in which nouns fill their objects; *Record Reference* "
        "must record it too.",
    ),
    "keep-layout": Example(
        23,
        "New colour, same layout",
        "a big blue circle",
        "**Change a colour, keep the layout.** The source image is sampled in red. The same "
        "seed is sampled with another colour while *Energy: Keep Attention* holds every word where "
        "it was (Pix2Pix-Zero's cross-attention guidance).",
    ),
    "edit-picture": Example(
        24,
        "Edit an image",
        "a big red square",
        "**Edit an image (Pix2Pix-Zero).** *Invert* turns the image back into its noise and makes "
        "that noise white, as its report says; its attention is recorded along that path. *Edit "
        "Direction* writes sentences about circles and about squares and changes the prompt by "
        "what they differ in. *Energy: Keep Attention* holds the layout in the first half.\n\n"
        "**Try:** strength 0, which is the edit without attention guidance; other words, or "
        "sentences of your own.\n\n"
        "For an image of your own, put *Load Image* in place of the first sampler, its caption "
        "as prompt, and 20 as white_noise, which is for latents of Stable Diffusion's size; 50 "
        "steps, CFG 5.",
    ),
    "translation": Example(
        25,
        "Translate by a sentence",
        "a big yellow triangle",
        "**What one sentence says, turned into what another says, in the same layout "
        "(DiffuseIT).** From 80 % of its own noise the image is sampled again, without a prompt. "
        "*Energy: Structure* holds its layout by a ViT, *Energy: Text Direction* changes what "
        "differs between the sentences, *Energy: Range* keeps colours from burning. Strongly at "
        "first: the colour is decided while there is much noise.\n\n"
        "**Try:** another colour in both places; `appearance` of a second image in a second "
        "*Energy: Structure*, in place of the sentences; *Recurrent Sampler* from drawn noise, as "
        "published.\n\n"
        "For an image of your own: *Load Image* and *VAE Encode* in place of the first sampler, "
        "a DINO and an OpenCLIP network, 8 cutouts.",
    ),
    "flow-edit": Example(
        27,
        "Edit by two prompts",
        "a big blue circle and a small green square",
        "**Edit an image by two prompts, without inverting it (FlowEdit).** One prompt says what "
        "the image shows, the other what it should show. *Flow Edit* moves the image along the "
        "difference of what the model makes of both: what the prompts agree on does not move.\n\n"
        "Shapes is loaded as a flow model here; other models are edited as well.\n\n"
        "**Try:** another word; more steps in `n_max`, which change more; a mask; a path of "
        "*Invert* of the same latent.\n\n"
        "For an image of your own put *Load Image* in place of the first sampler, and its caption "
        "in both prompts.",
    ),
    "null-text": Example(
        26,
        "A given image at a high CFG",
        "a big red circle and a small green square",
        "**An image that is given, sampled again at CFG 7.5 (null text).** *Invert* finds the "
        "noise of the image at CFG 1. At CFG 7.5 that noise becomes another image, as the preview "
        "shows; *Null Text* finds for each step the negative prompt by which it stays this one, "
        "and its report says how exactly. Edits begin from there.\n\n"
        "**Try:** another CFG, in *Null Text* and in both samplers; fewer iterations.\n\n"
        "For an image of your own, put *Load Image* in place of the first sampler, and its "
        "caption as prompt; 50 steps. Steps are those of *Invert*, the sampler is euler.",
    ),
    "swap-word": Example(
        28,
        "Swap a word",
        "a big blue circle and a small green square",
        "**Swap a word of the prompt, keep the image (Prompt-to-Prompt).** Words of the edit "
        "attend to the image where the source's words do, and outside of what the blend words "
        "attend to nothing changes.\n\n"
        "The second sampler runs twice: once for the source, with its own seed, and once for the "
        "edit.\n\n"
        "**Try:** square in place of circle, in the prompt alone; no blend words.\n\n"
        "For an image of your own connect *Invert*: its path to *Prompt-to-Prompt*, its latent "
        "to *KSampler (Advanced)* without added noise.",
    ),
    "plug-and-play": Example(
        29,
        "New prompt, same structure",
        "",
        "**Another prompt in the structure of a source (Plug-and-Play).** *Record Reference* "
        "samples the source and keeps its path. Then features and self-attention of the source "
        "take the place of the model's own, until the positions that the node says, and the new "
        "prompt fills the structure.\n\n"
        "**Try:** `features_end` and `attention_end` at 0, which is the new prompt alone with "
        "the same seed.\n\n"
        "For an image of your own use the path of *Invert*, and its latent in *KSampler "
        "(Advanced)* without added noise.",
    ),
    "super-resolution-x4": Example(
        30,
        "Enlarge four times",
        "a big purple triangle and a small yellow circle",
        "**Enlarge an image four times.** *Energy: Measurement* asks that the result, shrunk "
        "four times, equals the small image; *Rule: Backward* with optimiser `polyak` makes the "
        "two equal to the eye, and the model sharpens. Sampling starts from the enlarged image "
        "at denoise 0.3.",
    ),
    "deblurring": Example(
        31,
        "Sharpen a blurred image",
        "a big purple triangle and a small yellow circle",
        "**Sharpen a blurred image.** *Energy: Measurement* asks that the result, blurred by 3 "
        "pixels, equals the blurred image; *Rule: Backward* with optimiser `polyak` makes it "
        "so, and the model sharpens. Sampling starts from the blurred image at denoise 0.3: "
        "with more, small objects get lost.",
    ),
    "inpainting": Example(
        32,
        "Fill in what is missing",
        "a big purple triangle and a small yellow circle",
        "**Fill in what is missing.** A stripe of the image is gone. *Energy: Measurement* "
        "compares the rest with the estimate, and its gradient goes through the model: objects "
        "that are half hidden are completed. The noise mask keeps the known part, as stock "
        "inpainting does; without guidance each half often becomes another object.\n\n"
        "Strength 1 to the end, CFG 2, an ancestral sampler, every step twice.\n\n"
        "For an image of your own: *Load Image*, paint the hole in its mask editor, and connect "
        "its MASK in place of the stripe.",
    ),
    "colourisation": Example(
        33,
        "Colour a grey image",
        "a big blue square and a small yellow circle",
        "**Colour a grey image.** *Energy: Measurement* compares the brightness of the image "
        "and nothing else (*grey*). The prompt says which colours there are, the model decides "
        "where they go. Sampling starts from noise, with another seed.\n\n"
        "*simulate* removes the colours of a good image, to see how well they come back. For a "
        "grey image of your own: *Load Image*, and switch *simulate* off.\n\n"
        "Strength 2 to the end, CFG 2, an ancestral sampler, every step twice. A small "
        "object that is little brighter than the ground can be lost.",
    ),
    "initial-noise": Example(
        34,
        "Begin from a better noise",
        "a big red circle and a small white square",
        "**Begin from a noise that shows all objects.** *Optimise Initial Noise* takes up to "
        "eight draws a few steps into the run, and keeps the first in which each colour of the "
        "prompt owns a place (*Energy: Presence*). The sampling itself is the stock one.\n\n"
        "An image whose own seed will do keeps it. The report tells the energies.\n\n"
        "**Try:** rounds 1, which is the seed's own noise; ahead 0 and iterations 10, which moves "
        "the noise as InitNO does.\n\n"
        "**Your model:** the nouns of the prompt in *Prompt Words*, and *steps*, *cfg* and "
        "*scheduler* as in the run.",
    ),
    "uncrop": Example(
        35,
        "Continue beyond the edge",
        "a big blue triangle",
        "**Continue an image beyond its edge.** An object is cut by the right edge, beside which "
        "there is room. *Energy: Measurement* compares what is there with the estimate, "
        "and its gradient goes through the model: what is cut is continued. The noise mask "
        "alone, as stock outpainting has it, often puts another object beside the cut one.\n\n"
        "Strength 1 to the end, CFG 2, an ancestral sampler, every step twice.\n\n"
        "**Try:** a wider stripe; strength 0, which is the stock sampler.\n\n"
        "For an image of your own: *Load Image* and *Pad Image for Outpainting*, whose image and "
        "mask stand for those here, and a prompt of the whole.",
    ),
    "morph": Example(
        36,
        "From one image to another",
        "",
        "**Turn one image into another, frame by frame.** *Invert* finds the noise of both. "
        "*Morph* moves what stands out of the first to where the second has its own, adds the "
        "noise between, and samples each frame from there, under both prompts.\n\n"
        "It samples more frames than it gives, most of them where the image changes fast, and "
        "chooses those whose steps look evenly wide. The animation shows all, *Save Image* "
        "one of the middle.\n\n"
        "**Try:** more in *sampled*, for smoother motion; displacement 0, which begins from noise "
        "alone, where objects jump.\n\n"
        "For images of your own: two *Load Image* nodes and *VAE Encode* before *Invert*, of one "
        "size.",
    ),
    "cascade": Example(
        37,
        "Enlarge by stages, in tiles",
        "a big purple triangle and a small yellow circle",
        "**Enlarge an image by stages.** *Super-resolve (Stages)* doubles it twice, from 128 over "
        "256 to 512 pixels. Shapes knows images of 128, so that larger stages are drawn "
        "in overlapping tiles of it. At every step the whole estimate, shrunk, is brought back to "
        "the stage before.\n\n"
        "**Try:** strength 0, which lets each stage go; denoise 0.5.\n\n"
        "**Your model:** set *tile* to the size that it was trained on, 512 for SD 1.5 and 1024 "
        "for SDXL.",
    ),
    "noisy-label": Example(
        38,
        "A label, by the noisy latent",
        "red",
        "**A classifier that sees the noisy latent asks for something red.** This is classifier "
        "guidance as it was first published: the network was trained on latents under noise, so "
        "nothing is decoded, and no gradient goes through the model. A guided step costs little "
        "more than one without guidance.\n\n"
        "With the scale *absolute* and strength 1 the step is that of the posterior; 10, as here "
        "and as published for a model without labels, makes the label surer and the images more "
        "alike.\n\n"
        "**Try:** other labels: blue, circle, triangle, small ...; strength 1 and 20.\n\n"
        "**Your model:** such a network has to be trained on its latents: docs/guide-networks.md "
        "has the format and the recipe.",
    ),
    "face-identity": Example(
        39,
        "The identity of a reference",
        "purple triangle",
        "**Whoever the reference shows, at any place and of any size.** The prompt asks for a "
        "triangle, as one would ask for a portrait; *Energy: Face Identity* compares it with the "
        "reference by a face encoder.\n\n"
        "Shapes paints no faces, so a stand-in encoder plays the part: to it the shape and the "
        "colour of one object are who it is. Every wire is the one for faces. *stop* 0.05 ends the "
        "steps of an image that is like the reference; without it they go too far.\n\n"
        "**Your model:** load a checkpoint, write a prompt for a portrait, choose a network "
        "trained for face recognition in *Load Guide: Face*, give *Load Image* as reference, "
        "cropped to the face, and paint the square of the face as mask.",
    ),
    "h-space": Example(
        40,
        "A direction in h-space",
        "blue",
        "**A prompt that leaves the colour open, and a direction that says blue** (Asyrp). "
        "*h-space Edit* shifts what the middle block of the U-Net gives; the decoder half runs "
        "twice, the encoder once. No gradient, no other network.\n\n"
        "The direction was trained by *Find h-space Direction* (trained by prompts, 600 runs of "
        "six images) to lead where the model would go if the prompt said blue.\n\n"
        "**Try:** strength 0.5; edit_start 0.3, which changes less; another seed: most objects "
        "turn blue where they are.\n\n"
        "**Your model:** a U-Net (SD 1.5, SDXL), and *Find h-space Direction* with prompts of "
        "your own; a direction belongs to its model.",
    ),
    "drawn-outline": Example(
        62,
        "Fill a drawn outline",
        "a big green square",
        "**An object in an outline that you draw.** *Energy: Shape* compares where the model sees "
        "the word with a mask (Diffusion Self-Guidance); no other network looks on. The strength "
        "falls while the image takes shape, and the early steps are taken three times, so that "
        "model and guidance can agree.\n\n"
        "**Your own outline:** *Load Image*, *Open in MaskEditor*, and its MASK in place of the "
        "square here. Attention is coarse, 16 x 16 cells in SD 1.5: an outline fixes place, size "
        "and proportions, not fine contours.\n\n"
        "In Shapes the colour fills its object; with other models choose the noun.",
    ),
    "compose-images": Example(
        63,
        "Objects of two images in one",
        "a big red circle and a small blue square",
        "**Objects of several images come together in one.** Each source is sampled from its own "
        "prompt and seed, and recorded. *Energy: Shape* gives each object the outline that it has "
        "in its source: `source_tokens` say which word that is there, `moment` last step looks at "
        "the source as it ended. *Restart Sampler* takes the best of eight tries.\n\n"
        "**Try:** another seed in a source.\n\n"
        "**For images of your own:** *Load Image*, *VAE Encode* and *Invert* before each *Record "
        "Reference*, with its path.",
    ),
    "new-look": Example(
        64,
        "A new look, same place and size",
        "a big blue circle",
        "**The same object, at the same place and of the same size, with a new look.** The source "
        "is sampled and recorded. Another prompt and another seed begin anew; *Energy: Shape* asks "
        "for the outline that the object had, and for nothing of its colour.\n\n"
        "**Try:** other seeds and colours.\n\n"
        "**For an image of your own:** *Load Image*, *VAE Encode* and *Invert* before *Record "
        "Reference*, with its path.",
    ),
    "layout-and-look": Example(
        65,
        "Layout of one, looks of another",
        "a big yellow square",
        "**Objects where the first image has its own, in the colours of the second.** Two *Keep "
        "from Image* nodes in a row: the first keeps the layout of one image, the second the look "
        "of another. The prompt says what is shown, and leaves the colour open.\n\n"
        "Both images are made here, so that it runs at once: put *Load Image* in their place.\n\n"
        "**Try:** other seeds and prompts of the two images; amount 0 in one of the nodes.\n\n"
        "**Your model:** each of the two shows the model its image at every step, which costs one "
        "evaluation more each.",
    ),
    "keep-features": Example(
        66,
        "Swap a shape, keep the rest",
        "a big red square and a small white triangle",
        "**Another shape, where the object was, and all else as it was.** The source is sampled "
        "and its features, what the model's decoder sees at each place, are recorded. The same "
        "seed is sampled with the changed prompt while *Energy: Keep Features* holds them in the "
        "first half: Plug-and-Play as an energy.\n\n"
        "**Try:** strength 0: with the changed prompt alone this seed puts both objects elsewhere. "
        "A mask on the energy, so that only a part stays.\n\n"
        "**For an image of your own:** *Load Image*, *VAE Encode* and *Invert* before *Record "
        "Reference*, with its path.",
    ),
    "cfg-window": Example(
        67,
        "CFG inside a window",
        "a big blue triangle",
        "**A high CFG without what it burns.** Ten steps at CFG 7.5 spoil most of these images. "
        "*CFG Guider (Window)* uses it from 20 to 60 % of the run, where it decides what is "
        "shown; outside, the prompt acts alone, at half the cost of a step.\n\n"
        "**Try:** a window from 0 to 1, which is the image before; scale 12; convention w with "
        "scale 6.5, which is the same.\n\n"
        "**Your model:** any with a negative prompt and a CFG above 1. Guided models go in as "
        "they are.",
    ),
    "three-objects": Example(
        68,
        "Three objects, the noise chosen",
        "a red circle and a white square and a blue triangle",
        "**A noise that a sentence chose, where a scene is too much for the model.** *Optimise "
        "Initial Noise* takes up to eight draws most of the way, compares what they show with the "
        "sentence (*Energy: CLIP Text*), and keeps the first that fits, or the best. The sampling "
        "itself is the stock one.\n\n"
        "Shapes holds two objects; the LoRA in *Load Shapes* lets it hold three, and a fifth of "
        "its scenes are complete. Chosen so, twice as many are.\n\n"
        "**Try:** rounds 1, which is the seed's own noise; rounds 16; ahead 6, which costs less "
        "and sees less.\n\n"
        "**Your model:** a CLIP of its own in *Load Guide: open_clip*, and *steps*, *cfg* and "
        "*scheduler* as in the run. Read fitting thresholds in the report.",
    ),
    "swap-word-joint": Example(
        69,
        "Swap a word in a transformer",
        "a big blue circle and a small green square",
        "**Swap a word, keep the image, in a transformer (Prompt-to-Prompt).** *Load Shapes* loads "
        "a flow transformer here, built like FLUX: words and image attend to each other in one "
        "attention, and *Prompt-to-Prompt* edits what the image attends to, its words and "
        "itself.\n\n"
        "What is attended to is the source's until 0.4 of the run here; in U-Nets words keep "
        "their places until 0.8. Its guidance is in its weights, as FLUX.1 dev's: CFG is 1.\n\n"
        "**Try:** `cross_end` and `self_end` at 0, which is the new prompt alone with the same "
        "seed; square in place of circle, in the prompt alone.\n\n"
        "**Your model:** FLUX, SD3, Qwen-Image or Z-Image in place of *Load Shapes*, with its own "
        "steps and CFG.",
    ),
}


def name_of(number: int, title: str) -> str:
    """The name of a template's file, which ComfyUI shows."""
    return f"{number:02} · {title}"


def names() -> dict[str, str]:
    """The name of each template with Shapes, by the key of its API form."""
    return {key: name_of(one.number, one.title) for key, one in EXAMPLES.items()}
