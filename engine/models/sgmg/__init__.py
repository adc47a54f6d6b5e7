"""SgMg: an object named by a sentence, found in every frame of a clip (Miao et al., ICCV 2023)."""
