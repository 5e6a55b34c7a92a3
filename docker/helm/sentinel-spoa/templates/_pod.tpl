{{/* The containers: the agent, beside HAProxy or alone. */}}

{{- define "sentinel-spoa.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "sentinel-spoa.agentContainer" -}}
{{- $image := .Values.agent.image -}}
- name: sentinel-spoa
  image: {{ include "sentinel-spoa.image" (mergeOverwrite (deepCopy $image) (dict "tag" ($image.tag | default .Chart.AppVersion))) }}
  {{- with $image.pullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  {{- if .Values.haproxy.enabled }}
  restartPolicy: Always
  {{- end }}
  args: [-f, /etc/sentinel-spoa/sentinel-spoa.conf]
  ports:
    {{- if not .Values.haproxy.enabled }}
    - {name: spop, containerPort: 9012}
    - {name: check, containerPort: 9013}
    {{- end }}
    - {name: metrics, containerPort: 9912}
  {{- if .Values.haproxy.enabled }}
  startupProbe:
    httpGet: {path: /healthz, port: metrics}
    periodSeconds: 1
    failureThreshold: 30
  {{- end }}
  livenessProbe:
    httpGet: {path: /healthz, port: metrics}
    periodSeconds: 10
  {{- if .Values.haproxy.enabled }}
  {{- if eq (len .Values.services) 1 }}
  # Not ready only when it lasts longer than a failover: meanwhile clients wait (`park`), and are not turned away.
  {{- end }}
  readinessProbe:
    httpGet: {path: {{ include "sentinel-spoa.readyPath" . }}, port: metrics}
    periodSeconds: 5
    failureThreshold: {{ include "sentinel-spoa.readyFailures" . }}
  {{- else }}
  {{- if eq (len .Values.services) 1 }}
  # As soon as it lacks the majority, and until it has it again, the Service leads to the other one.
  {{- end }}
  readinessProbe:
    httpGet: {path: {{ include "sentinel-spoa.readyPath" . }}, port: metrics}
    periodSeconds: 2
    failureThreshold: 2
  {{- end }}
  resources:
    {{- toYaml .Values.agent.resources | nindent 4 }}
  securityContext:
    {{- if .Values.haproxy.enabled }}
    runAsUser: 65532
    {{- end }}
    {{- include "sentinel-spoa.securityContext" . | nindent 4 }}
  volumeMounts:
    - {name: agent, mountPath: /etc/sentinel-spoa, readOnly: true}
    {{- range include "sentinel-spoa.agentSecrets" . | fromJsonArray }}
    - {name: {{ include "sentinel-spoa.volume" . }}, mountPath: /run/secrets/{{ . }}, readOnly: true}
    {{- end }}
    {{- if .Values.haproxy.enabled }}
    - {name: sockets, mountPath: /run/sentinel-spoa}
    {{- end }}
{{- end }}

{{- define "sentinel-spoa.haproxyContainer" -}}
- name: haproxy
  image: {{ include "sentinel-spoa.image" .Values.haproxy.image }}
  {{- with .Values.haproxy.image.pullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  command: [sh, /usr/local/etc/haproxy/haproxy.sh]
  env:
    - name: POD_NAMESPACE
      valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  ports:
    {{- range include "sentinel-spoa.services" . | fromJsonArray }}
    - {name: {{ include "sentinel-spoa.portName" .port }}, containerPort: {{ .port }}}
    {{- if .replicas.enabled }}
    - {name: {{ include "sentinel-spoa.portName" .replicas.port }}, containerPort: {{ .replicas.port }}}
    {{- end }}
    {{- end }}
    - {name: health, containerPort: 8404}
  readinessProbe:
    httpGet: {path: /healthz, port: health}
    periodSeconds: 2
  livenessProbe:
    httpGet: {path: /healthz, port: health}
    periodSeconds: 10
  lifecycle:
    # Until every node has taken the pod out of the Service; then the image's SIGUSR1 lets sessions finish.
    preStop:
      exec: {command: [sleep, "5"]}
  resources:
    {{- toYaml .Values.haproxy.resources | nindent 4 }}
  securityContext:
    runAsUser: 99
    {{- include "sentinel-spoa.securityContext" . | nindent 4 }}
  volumeMounts:
    - {name: haproxy, mountPath: /usr/local/etc/haproxy, readOnly: true}
    {{- range include "sentinel-spoa.haproxySecrets" . | fromJsonArray }}
    - {name: {{ include "sentinel-spoa.volume" . }}, mountPath: /run/secrets/{{ . }}, readOnly: true}
    {{- end }}
    {{- if include "sentinel-spoa.pems" . | fromJson }}
    - {name: certificates, mountPath: /run/haproxy}
    {{- end }}
    - {name: sockets, mountPath: /run/sentinel-spoa}
{{- end }}

{{/* Numbers may change their meaning, names of ports must not: the number is in the name. */}}
{{- define "sentinel-spoa.portName" -}}
redis-{{ . }}
{{- end }}

{{/* A Secret's name may be longer than a volume's, and may have dots. Then a hash keeps two of them apart. */}}
{{- define "sentinel-spoa.volume" -}}
{{- if or (contains "." .) (gt (len .) 56) -}}
secret-{{ . | replace "." "-" | trunc 47 | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}
{{- else -}}
secret-{{ . }}
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.volumes" -}}
{{- $fullname := include "sentinel-spoa.fullname" . -}}
- name: agent
  configMap: {name: {{ $fullname }}-agent}
{{- range include "sentinel-spoa.secrets" . | fromJsonArray }}
- name: {{ include "sentinel-spoa.volume" . }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if .Values.haproxy.enabled }}
- name: haproxy
  configMap: {name: {{ $fullname }}-haproxy}
{{- if include "sentinel-spoa.pems" . | fromJson }}
- name: certificates
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
- name: sockets
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- end }}
