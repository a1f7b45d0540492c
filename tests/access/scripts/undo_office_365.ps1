# Main Street: takes back what the mending script did
# Run in PowerShell 7 or Windows PowerShell, after: Connect-ExchangeOnline

$Service = 'svc@example.test'
# What was there before each change is kept in this file; the undo script reads it.
$UndoFile = 'syncops-undo-Main-Street.csv'
# Exchange's cmdlets look at the session's preference, not at a script's own; it is set back at the end.
$Preference = $global:ErrorActionPreference
$global:ErrorActionPreference = 'Stop'
try {

# The default folder by its type: its name depends on the mailbox's language.
function Find-Folder([string]$Mailbox, [string]$Type) {
    $found = Get-MailboxFolderStatistics -Identity $Mailbox -FolderScope $Type |
        Where-Object { $_.FolderType -eq $Type } | Select-Object -First 1
    if ($null -eq $found) { throw ($Mailbox + ': no folder of type ' + $Type) }
    return $Mailbox + ':' + $found.FolderPath.Replace('/', '\').Replace([string][char]63743, '/')
}

if (-not (Test-Path -Path $UndoFile)) { Write-Output ('Nothing to take back: there is no ' + $UndoFile); return }
$steps = @(Import-Csv -Path $UndoFile -Encoding UTF8)
[array]::Reverse($steps)
$failed = 0
foreach ($step in $steps) {
    $mailbox = $step.Mailbox
    $what = $step.What
    $before = $step.Before
    try {
        if ($step.Step -eq 'folder') {
            $path = Find-Folder $mailbox $what
            $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
            # Changed by somebody since: left as it is.
            if ($null -ne $entry -and ($entry.AccessRights -join ',') -eq 'Editor') {
                if ($before -eq '') {
                    Remove-MailboxFolderPermission -Identity $path -User $Service -Confirm:$false
                } else {
                    Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights ($before -split ',') | Out-Null
                }
            }
        } elseif ($step.Step -eq 'private') {
            $path = Find-Folder $mailbox $what
            $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
            if ($null -ne $entry -and ($entry.AccessRights -join ',') -eq 'Editor') {
                Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor -SharingPermissionFlags $before | Out-Null
            }
        } elseif ($step.Step -eq 'send-as') {
            $entry = Get-RecipientPermission -Identity $mailbox -Trustee $Service -AccessRights SendAs -ErrorAction SilentlyContinue
            if ($null -ne $entry) {
                Remove-RecipientPermission -Identity $mailbox -Trustee $Service -AccessRights SendAs -Confirm:$false
            }
        } elseif ($step.Step -eq 'ews') {
            Set-CASMailbox -Identity $mailbox -EwsEnabled $false
        } elseif ($step.Step -eq 'member') {
            $address = (Get-Mailbox -Identity $mailbox).PrimarySmtpAddress
            $there = Get-DistributionGroupMember -Identity $what -ResultSize Unlimited |
                Where-Object { $_.PrimarySmtpAddress -eq $address }
            if ($null -ne $there) {
                Remove-DistributionGroupMember -Identity $what -Member $mailbox -BypassSecurityGroupManagerCheck -Confirm:$false
            }
        } elseif ($step.Step -eq 'assignment') {
            if ($null -ne (Get-ManagementRoleAssignment -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ManagementRoleAssignment -Identity $what -Confirm:$false
            }
        } elseif ($step.Step -eq 'scope') {
            if ($null -ne (Get-ManagementScope -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ManagementScope -Identity $what -Confirm:$false
            }
        } elseif ($step.Step -eq 'group') {
            if ($null -ne (Get-DistributionGroup -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-DistributionGroup -Identity $what -BypassSecurityGroupManagerCheck -Confirm:$false
            }
        } elseif ($step.Step -eq 'service-principal') {
            if ($null -ne (Get-ServicePrincipal -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ServicePrincipal -Identity $what -Confirm:$false
            }
        }
    } catch { Write-Warning $_; $failed += 1 }
}
if ($failed -gt 0) {
    Write-Warning ([string]$failed + ' steps could not be taken back; run it again when mended.')
} else {
    Move-Item -Path $UndoFile -Destination ($UndoFile + '.done') -Force
}

} finally { $global:ErrorActionPreference = $Preference }
