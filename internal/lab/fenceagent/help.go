package fenceagent

// help is for people: cluster managers ask for the metadata.
const help = `fence_lab is the fence agent of Arbiter's laboratory: it switches hosts off and on at a power switch that exists only there, as
"make demo", "make bench" and the end-to-end tests do. It switches no real machine: for those name the agent of their hardware,
hypervisor or cloud in the group's spec (docs/fencing.md).

Usage: fence_lab -o ACTION -n HOST --socket PATH
       fence_lab -o ACTION -n HOST -a ADDRESS [-u PORT]
       fence_lab < FILE        with lines of key=value, as Arbiter and cluster managers call it

  -o, --action ACTION        off, on, reboot (by default), status, monitor, list, metadata, validate-all
  -n, --plug HOST            the name of the host
      --socket PATH          Unix socket of the power switch; goes before --ip
  -a, --ip ADDRESS           address of the power switch
  -u, --ipport PORT          its TCP port, by default 6230
      --power-timeout SECONDS  how long the switch may take, by default 20
  -h, --help                 this text

Exit status: 0 done, or on; 2 off (of status); 1 failed.
`
