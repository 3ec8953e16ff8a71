# SPDX-License-Identifier: MIT
"""`python -m pybridge completion SHELL`: what a shell needs to complete the command `pybridge`.

eval "$(pybridge completion bash)"          in ~/.bashrc; likewise zsh in ~/.zshrc
pybridge completion fish | source           in ~/.config/fish/config.fish
"""

from __future__ import annotations

COMMANDS = {
    "run": "run a program whose imports find the guest's packages",
    "repl": "a prompt of the host, with one of the guest beside it",
    "install": "install packages for the guest",
    "python": "run the guest's own interpreter",
    "doctor": "say which guest is found and why, start it, and check that it works",
    "stubs": "write .pyi files of guest modules, for editors",
    "completion": "print the completion code for a shell",
}
OPTIONS = {
    "run": ["--guest", "--host", "-m", "-c", "--help"],
    "repl": ["--python", "--help"],
    "install": ["--python", "--requirement", "--upgrade", "--json", "--help"],
    "python": [],
    "doctor": ["--json", "--python", "--script", "--help"],
    "stubs": ["--output", "--python", "--json", "--help"],
    "completion": ["bash", "zsh", "fish"],
}


def _bash() -> str:
    cases = "\n".join(
        f'        {name}) words="{" ".join(OPTIONS[name])}" ;;' for name in COMMANDS
    )
    return f"""_pybridge() {{
    local words word=${{COMP_WORDS[COMP_CWORD]}}
    case $COMP_CWORD:${{COMP_WORDS[1]}} in
        1:*) words="{" ".join(COMMANDS)}" ;;
    esac
    [ "$COMP_CWORD" -gt 1 ] && case ${{COMP_WORDS[1]}} in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ ${{#COMPREPLY[@]}} -eq 0 ] && COMPREPLY=($(compgen -f -- "$word"))
    return 0
}}
complete -o filenames -F _pybridge pybridge
"""


def _zsh() -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"


def _fish() -> str:
    lines = ["complete -c pybridge -e"]
    for name, what in COMMANDS.items():
        text = what.replace("'", "\\'")
        lines.append(f"complete -c pybridge -n __fish_use_subcommand -a {name} -d '{text}'")
        for option in OPTIONS[name]:
            kind = {2: "-s", 1: "-l"}.get(2 if len(option) == 2 else 1)
            word = f"{kind} {option.lstrip('-')}" if option.startswith("-") else f"-a {option}"
            lines.append(f"complete -c pybridge -n '__fish_seen_subcommand_from {name}' {word}")
    return "\n".join(lines) + "\n"


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
