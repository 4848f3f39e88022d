{{- define "route-feedback.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "route-feedback.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "route-feedback.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "route-feedback.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "route-feedback.selector" -}}
app.kubernetes.io/name: {{ include "route-feedback.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "route-feedback.labels" -}}
{{ include "route-feedback.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "route-feedback.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The claim that holds checkpoints; empty where there is none. */}}
{{- define "route-feedback.claim" -}}
{{- if .Values.checkpoint.claim.create -}}
{{ include "route-feedback.fullname" . }}-checkpoints
{{- else -}}
{{ .Values.checkpoint.claim.existing }}
{{- end -}}
{{- end -}}

{{/* The secret that holds the hub's token; empty where there is none. */}}
{{- define "route-feedback.tokenSecret" -}}
{{- if .Values.hub.externalSecret.store -}}
{{ include "route-feedback.fullname" . }}-hub
{{- else -}}
{{ .Values.hub.tokenSecret }}
{{- end -}}
{{- end -}}

{{/* The secret that holds the keys of checkpoints; empty where there is none. */}}
{{- define "route-feedback.keysSecret" -}}
{{- if .Values.keys.externalSecret.store -}}
{{ include "route-feedback.fullname" . }}-keys
{{- else -}}
{{ .Values.keys.secret }}
{{- end -}}
{{- end -}}

{{/* From External Secrets: one property of the store's secret under a key, or without one all of them by name. */}}
{{- define "route-feedback.externalSecret" }}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  labels:
    {{- include "route-feedback.labels" .root | nindent 4 }}
spec:
  refreshInterval: 1h
  secretStoreRef:
    name: {{ .from.store }}
    kind: {{ .from.storeKind }}
  target:
    name: {{ .name }}
  {{- if .as }}
  data:
    - secretKey: {{ .as }}
      remoteRef:
        key: {{ .from.key }}
        property: {{ .from.property }}
  {{- else }}
  dataFrom:
    - extract:
        key: {{ .from.key }}
  {{- end }}
{{- end -}}

{{/* What the service alone needs: who may change checkpoints, and where spans go. */}}
{{- define "route-feedback.serviceEnv" -}}
{{- with include "route-feedback.keysSecret" . }}
- name: ROUTE_FEEDBACK_ADMIN_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: admin
- name: ROUTE_FEEDBACK_GATE_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: gate
      optional: true
{{- end }}
{{- with .Values.tracing }}
{{- if .endpoint }}
- name: POD
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_SERVICE_NAME
  value: {{ include "route-feedback.fullname" $ }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD),service.version={{ $.Chart.AppVersion }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .share | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The service's own settings file: the given ones, and over them what the chart decides. */}}
{{- define "route-feedback.settings" -}}
{{- $settings := dict "host" "0.0.0.0" "port" 8000 "log" "json" "cache" "/cache/route-feedback" -}}
{{- with .Values.checkpoint.path }}{{ $_ := set $settings "checkpoint" . }}{{ end -}}
{{- if .Values.taxonomy }}{{ $_ := set $settings "taxonomy" "/etc/route-feedback/taxonomy.yaml" }}{{ end -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.settings) $settings) }}
{{- end -}}

{{- define "route-feedback.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "route-feedback.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Resources with the GPUs, which Kubernetes wants as a limit. */}}
{{- define "route-feedback.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- if .Values.gpu.count -}}
{{- $_ := set $resources "limits" (merge (dict .Values.gpu.resource (int .Values.gpu.count)) (default dict $resources.limits)) -}}
{{- end -}}
{{ toYaml $resources }}
{{- end -}}

{{- define "route-feedback.env" -}}
- name: HOME
  value: /cache
- name: HF_HOME
  value: /cache/huggingface
{{- if not .Values.hub.enabled }}
- name: HF_HUB_OFFLINE
  value: "1"
{{- end }}
{{- with include "route-feedback.tokenSecret" . }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: token
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "route-feedback.mounts" -}}
- name: settings
  mountPath: /etc/route-feedback
  readOnly: true
- name: cache
  mountPath: /cache
- name: tmp
  mountPath: /tmp
- name: shm
  mountPath: /dev/shm
{{- end -}}

{{- define "route-feedback.volumes" -}}
- name: settings
  configMap:
    name: {{ include "route-feedback.fullname" . }}
- name: cache
  emptyDir:
    sizeLimit: {{ .Values.cacheSize }}
- name: tmp
  emptyDir: {}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.sharedMemory }}
{{- with include "route-feedback.claim" . }}
- name: checkpoints
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end -}}

{{/* Where pods may run: the same for the service and its jobs. */}}
{{- define "route-feedback.placement" -}}
{{- with .Values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
