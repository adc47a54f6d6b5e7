"""Training: pictures and regions, synthesis of clips, the step and the loop. Reports by callback, prints nothing."""
