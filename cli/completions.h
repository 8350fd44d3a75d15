/* The completion scripts, generated, as strings. */
#pragma once

extern const char fzctl_completion_bash[], fzctl_completion_zsh[], fzctl_completion_fish[];
