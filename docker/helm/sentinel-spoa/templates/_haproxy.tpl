{{/*
HAProxy's files: what `sentinel-spoa haproxy-conf` prints for the agent's file, with addresses for pods and a frontend for
probes. haproxy-conf/README.md explains the lines.
*/}}

{{/* The backend of a service: (dict "services" $services "service" $service). */}}
{{- define "sentinel-spoa.section" -}}
be_{{ eq (len .services) 1 | ternary "redis" .service.name }}
{{- end }}

{{- define "sentinel-spoa.haproxyFile" -}}
{{- $services := include "sentinel-spoa.services" . | fromJsonArray -}}
{{- $clients := 0 -}}
{{- range $services -}}
{{- $clients = add $clients (.replicas.enabled | ternary 2 1 | mul $.Values.haproxy.maxconn) -}}
{{- end -}}
global
    log stdout format raw local0 info
    # Clients that wait for a master must not keep out those who ask fe_health whether HAProxy lives.
    maxconn {{ add $clients 100 }}
    # Within terminationGracePeriodSeconds. A reload leaves the old process with its sessions.
    hard-stop-after {{ .Values.haproxy.timeouts.hardStop }}
{{- with .Values.haproxy.extraGlobal }}
{{ . | trim | indent 4 }}
{{- end }}

{{- if include "sentinel-spoa.hasNames" $services }}

# Addresses change when pods are made anew. Whole names: HAProxy does not go through the search list of resolv.conf.
resolvers system
    parse-resolv-conf
    hold valid 1s
    hold nx 1s
    hold obsolete 1s
    accepted_payload_size 4096
{{- end }}

defaults
    log global
{{ range $services }}
{{- include "sentinel-spoa.frontend" (dict "root" $ "services" $services "service" . "role" "master" "port" .port) }}
{{- if .replicas.enabled }}
{{- include "sentinel-spoa.frontend" (dict "root" $ "services" $services "service" . "role" "replica" "port" .replicas.port) }}
{{- end }}
{{- end }}
{{- range $services }}
{{- include "sentinel-spoa.backend" (dict "root" $ "services" $services "service" . "role" "master") }}
{{- if .replicas.enabled }}
{{- include "sentinel-spoa.backend" (dict "root" $ "services" $services "service" . "role" "replica") }}
{{- end }}
{{- end }}
backend be_sentinel_spoa
    # mode tcp on every version: HAProxy 3.1 and later make it "mode spop" themselves, older ones refuse that.
    mode tcp
    retries 0
    no option redispatch
    option spop-check
    timeout connect 200ms
    timeout check 500ms
    timeout server 3m
    # The first refused connection marks the agent down, so that clients are refused at once and do not wait.
    default-server check inter 1s fastinter 100ms downinter 200ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
    server agent1 unix@/run/sentinel-spoa/spop.sock

frontend fe_health
    mode http
    {{ include "sentinel-spoa.bind" (dict "root" . "port" 8404) }}
    timeout client 5s
    monitor-uri /healthz
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
{{- with .Values.haproxy.extraSections }}

{{ . | trim }}
{{- end }}
{{ end }}

{{- define "sentinel-spoa.frontend" }}
{{- $suffix := eq .role "replica" | ternary "_read" "" }}
frontend fe_{{ include "sentinel-spoa.section" . | trimPrefix "be_" }}{{ $suffix }}
    mode tcp
    timeout client {{ .root.Values.haproxy.timeouts.client }}
    # A client whose host is gone without a word is given up after 90 s.
    option clitcpka
    clitcpka-idle 1m
    clitcpka-intvl 10s
    clitcpka-cnt 3
    {{ include "sentinel-spoa.bind" . }}{{ if .root.Values.haproxy.tls.secret }} ssl crt /run/haproxy/clients.pem{{ end }}
    maxconn {{ int64 .root.Values.haproxy.maxconn }}
{{- if gt (len .services) 1 }}
    tcp-request session set-var(sess.service) str({{ .service.name }})
{{- end }}
    filter spoe engine sentinel{{ eq .role "replica" | ternary "-replica" "" }} config /usr/local/etc/haproxy/spoe.conf
    log-format "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %U/%B %ts %ac/%fc/%bc/%sc/%rc state=%[var(txn.redis.state)] {{ .role }}=%[var(txn.redis.{{ .role }})] addr=%[var(txn.redis.addr)] port=%[var(txn.redis.port)] votes=%[var(txn.redis.votes)] generation=%[var(txn.redis.generation)] error=%[var(txn.redis.error)]"
{{- if .service.anyAddress }}
    # No address, no connection: without this rule HAProxy would connect to itself, in a loop.
    tcp-request content reject unless { var(txn.redis.addr) -m found } { var(txn.redis.port) -m found }
    tcp-request content set-dst var(txn.redis.addr)
    tcp-request content set-dst-port var(txn.redis.port)
{{- else }}
    # No name, no connection: this rule is not optional.
    tcp-request content reject unless { var(txn.redis.{{ .role }}) -m found }
{{- end }}
    default_backend {{ include "sentinel-spoa.section" . }}{{ $suffix }}
{{ end }}

{{- define "sentinel-spoa.backend" }}
{{- $suffix := eq .role "replica" | ternary "_read" "" }}
{{- $tls := .service.tls }}
{{- if $suffix }}
# The same nodes: the agent knows which of them is a replica.
{{- end }}
backend {{ include "sentinel-spoa.section" . }}{{ $suffix }}
    mode tcp
    timeout connect 500ms
    # A client that waits for one of `maxconn` must not get to a master that was replaced meanwhile.
    timeout queue 500ms
    timeout server {{ .root.Values.haproxy.timeouts.server }}
    # Never another try, never another server, never one that is down: these lines are not optional.
    retries 0
    no option redispatch
    no option persist
    # With tcp-ut, which must stand on the server lines: sessions to a host that is gone without a word end within seconds.
    option srvtcpka
    srvtcpka-idle 5s
    srvtcpka-intvl 1s
{{- if .service.anyAddress }}
    server any 0.0.0.0:0 tcp-ut 3s{{ include "sentinel-spoa.serverTls" .service }}{{ with $tls.serverName }}{{ if $tls.enabled }} verifyhost {{ . }}{{ end }}{{ end }}
{{- else }}
    # weight 0: a server is used when use-server names it, and never otherwise. Neither is optional.
    # init-addr none: a node that is not there yet keeps nobody from starting.
    default-server weight 0 check inter 1s fastinter 200ms fall 2 rise 1
    {{- if include "sentinel-spoa.hasNames" (list .service) }} resolvers system init-addr last,libc,none{{ end }}
    {{- include "sentinel-spoa.serverTls" .service }}
    use-server %[var(txn.redis.{{ .role }})] if { var(txn.redis.{{ .role }}) -m found }
{{- range .service.servers }}
    server {{ .name }} {{ .haproxyAddress | default .address }} tcp-ut 3s
    {{- if $tls.enabled }} verifyhost {{ $tls.serverName | default (regexReplaceAll ":[0-9]+$" .address "" | trimAll "[]") }}{{ end }}
{{- end }}
{{- end }}
{{ end }}

{{- define "sentinel-spoa.serverTls" -}}
{{- if .tls.enabled }} ssl verify required ca-file {{ include "sentinel-spoa.haproxyCa" .tls }}
{{- if .tls.clientCertificate }} crt /run/haproxy/nodes-{{ .name }}.pem{{ end }}
{{- end }}
{{- end }}

{{/* Whether a server of these services is known by a name. "yes" or nothing. */}}
{{- define "sentinel-spoa.hasNames" -}}
{{- $found := "" -}}
{{- range . -}}
{{- range .servers -}}
{{- if not (regexMatch "^(\\[.*\\]|[0-9.]+):[0-9]+$" (.haproxyAddress | default .address)) -}}{{- $found = "yes" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end }}

{{/* Without an authority of its own: those of the image. */}}
{{- define "sentinel-spoa.haproxyCa" -}}
{{- if and .secret .ca -}}
{{ include "sentinel-spoa.secretPath" (dict "secret" .secret "key" .ca) }}
{{- else -}}
@system-ca
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.spoeFile" -}}
{{- $services := include "sentinel-spoa.services" . | fromJsonArray -}}
{{- $roles := list "master" -}}
{{- range $services -}}
{{- if .replicas.enabled -}}{{- $roles = list "master" "replica" -}}{{- end -}}
{{- end -}}
# What HAProxy asks sentinel-spoa, once per client connection. haproxy-conf/README.md explains every line.
{{ range $roles }}
{{- $name := eq . "replica" | ternary "sentinel-replica" "sentinel" }}
[{{ $name }}]
spoe-agent {{ $name }}
    messages find-{{ . }}
    use-backend be_sentinel_spoa
    option var-prefix redis
    option set-on-error error
    option pipelining
    no option async
    no option send-frag-payload
    register-var-names state master replica addr port votes generation error
    timeout hello 500ms
    timeout idle 2m
    timeout processing {{ include "sentinel-spoa.processing" $ | int64 | include "sentinel-spoa.seconds" }}
    log global
    option dontlog-normal

spoe-message find-{{ . }}
    args service={{ if gt (len $services) 1 }}var(sess.service){{ else }}str({{ (first $services).name }}){{ end }} role=str({{ . }}) src=src src_port=src_port dst=dst dst_port=dst_port
    event on-client-session if { nbsrv(be_sentinel_spoa) ge 1 } or { stopping }
{{ end }}
{{- end }}

{{- define "sentinel-spoa.seconds" -}}
{{- if mod . 1000 | eq 0 -}}
{{ div . 1000 }}s
{{- else -}}
{{ . }}ms
{{- end -}}
{{- end }}

{{/* Certificates whose key HAProxy wants in the same file: {FILE: {secret, cert, key}}. JSON. */}}
{{- define "sentinel-spoa.pems" -}}
{{- $pems := dict -}}
{{- with .Values.haproxy.tls -}}
{{- if .secret -}}{{- $_ := set $pems "clients" . -}}{{- end -}}
{{- end -}}
{{- range include "sentinel-spoa.services" . | fromJsonArray -}}
{{- if and .tls.enabled .tls.clientCertificate -}}{{- $_ := set $pems (printf "nodes-%s" .name) .tls -}}{{- end -}}
{{- end -}}
{{- toJson $pems -}}
{{- end }}

{{- define "sentinel-spoa.haproxyScript" -}}
{{- $pems := include "sentinel-spoa.pems" . | fromJson -}}
#!/bin/sh
# haproxy.sh: HAProxy in the foreground. When its files change they are checked, and HAProxy is reloaded (SIGUSR2 to its
# master process). So a changed ConfigMap or certificate is used, and neither the pod nor the agent restarts.
set -u
umask 077
config=/usr/local/etc/haproxy/haproxy.cfg

checksum() {
    # A look in the middle of a change sees other bytes than the next one, and the next one counts.
    cat /usr/local/etc/haproxy/*{{ range include "sentinel-spoa.haproxySecrets" . | fromJsonArray }} /run/secrets/{{ . }}/*{{ end }} 2>/dev/null | cksum
}
{{- if $pems }}

# HAProxy wants a certificate and its key in one file.
prepare() {
{{- range $file, $pem := $pems }}
    cat {{ include "sentinel-spoa.secretPath" (dict "secret" $pem.secret "key" $pem.cert) }} {{ include "sentinel-spoa.secretPath" $pem }} >/run/haproxy/{{ $file }}.pem
{{- end }}
}
{{- end }}

watch() {
    while sleep 2 && kill -0 "$1" 2>/dev/null; do
        now=$(checksum)
        [ "$now" != "$used" ] || continue
        used=$now
{{- if $pems }}
        prepare
{{- end }}
        if haproxy -c -f "$config" >/dev/null; then
            echo "haproxy.sh: the files have changed, reload"
            kill -USR2 "$1"
        else
            echo "haproxy.sh: the changed files have an error, HAProxy goes on with the old ones" >&2
        fi
    done
}

# Before HAProxy reads the files: a change in between is seen.
used=$(checksum)
{{- if $pems }}
prepare
{{- end }}
# The master process goes on for as long as it has a child: the watch must be the shell's, and so the shell stays.
haproxy -W -db -S /run/sentinel-spoa/master.sock,mode,660 -f "$config" &
master=$!
trap 'kill -USR1 $master' USR1
trap 'kill -TERM $master' TERM INT
watch $master &
while :; do
    # A signal ends the wait, not HAProxy.
    wait $master && exit
    code=$?
    kill -0 $master 2>/dev/null || exit $code
done
{{ end }}

{{/* The Secrets that HAProxy reads. JSON, a list. */}}
{{- define "sentinel-spoa.haproxySecrets" -}}
{{- $names := list .Values.haproxy.tls.secret -}}
{{- range include "sentinel-spoa.services" . | fromJsonArray -}}
{{- if .tls.enabled -}}{{- $names = append $names .tls.secret -}}{{- end -}}
{{- end -}}
{{- $names | uniq | compact | sortAlpha | toJson -}}
{{- end }}
