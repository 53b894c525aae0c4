{{- define "meetbot.selector" -}}
app.kubernetes.io/name: meetbot
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "meetbot.metadata" -}}
name: {{ .Release.Name }}
{{ include "meetbot.placed" . }}
{{- end }}

{{- define "meetbot.placed" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "meetbot.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "meetbot.config" -}}
OPS_ADDR: ":9090"
HTTP_ADDR: ":8080"
LOG_FORMAT: json
# What is left of the pod's memory limit is not the heap's: with another limit, set it in config.
GOMEMLIMIT: 400MiB
{{- if .Values.host }}
PUBLIC_URL: https://{{ .Values.host }}
{{- end }}
{{- range .Values.secret.variables }}
{{ . }}_FILE: /run/secrets/meetbot/{{ . }}
{{- end }}
ENCRYPTION_KEY_FILE: /run/secrets/meetbot-key/ENCRYPTION_KEY
{{- if .Values.nats.url }}
NATS_URL: {{ .Values.nats.url | quote }}
NATS_CREDS: /run/secrets/meetbot/bot.nk
{{- if .Values.nats.ownAuthority }}
SSL_CERT_FILE: /run/secrets/meetbot/ca.crt
{{- end }}
{{- else }}
DATA_DIR: /data/meetbot
{{- end }}
{{- end }}

{{- define "meetbot.pod" -}}
metadata:
  labels:
    {{- include "meetbot.selector" . | nindent 4 }}
  annotations:
    # A changed variable takes effect at a restart.
    checksum/config: {{ print (include "meetbot.config" .) (toYaml .Values.config) | sha256sum }}
spec:
  serviceAccountName: {{ .Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # SHUTDOWN_GRACE (25 s) and a margin.
  terminationGracePeriodSeconds: 40
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- if .Values.nats.url }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "meetbot.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: bot
      image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
      envFrom:
        - configMapRef:
            name: {{ .Release.Name }}
      ports:
        - name: http
          containerPort: 8080
        - name: ops
          containerPort: 9090
      # The store may have to be recovered first: it may take a minute.
      startupProbe:
        httpGet: {path: /livez, port: ops}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: ops}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: ops}
        periodSeconds: 5
        timeoutSeconds: 3
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /run/secrets/meetbot
          readOnly: true
        - name: key
          mountPath: /run/secrets/meetbot-key
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if not .Values.nats.url }}
        - name: data
          mountPath: /data
        {{- end }}
  volumes:
    - name: secrets
      secret:
        secretName: {{ .Values.secret.name }}
        defaultMode: 0440
    - name: key
      secret:
        secretName: {{ .Values.encryptionKey.name }}
        defaultMode: 0440
    - name: tmp
      emptyDir:
        sizeLimit: 16Mi
{{- end }}

{{- define "meetbot.backend" -}}
service:
  name: {{ .Release.Name }}
  port:
    name: http
{{- end }}

{{- define "meetbot.tls" -}}
- hosts: [{{ .Values.host | quote }}]
  secretName: {{ .Values.ingress.tlsSecret }}
{{- end }}
