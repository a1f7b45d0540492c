# Main Street: gives what is missing
# Run in the Exchange Management Shell of Exchange 2019 (out of support since October 2025)

$Service = 'svc@example.test'
# What was there before each change is kept in this file; the undo script reads it.
$UndoFile = 'syncops-undo-Main-Street.csv'
# Exchange's cmdlets look at the session's preference, not at a script's own; it is set back at the end.
$Preference = $global:ErrorActionPreference
$global:ErrorActionPreference = 'Stop'
try {

$script:Failed = 0

# Runs one step; a failure is said and does not stop the others.
function Step([scriptblock]$Do) {
    try { & $Do } catch { Write-Warning $_; $script:Failed += 1 }
}

# Keeps what stands before a change, before the change is made.
function Save-Before([string]$Step, [string]$Mailbox, [string]$What, [string]$Before) {
    $row = [pscustomobject]@{ Step = $Step; Mailbox = $Mailbox; What = $What; Before = $Before }
    $row | Export-Csv -Path $UndoFile -Append -NoTypeInformation -Encoding UTF8
}

# The default folder by its type: its name depends on the mailbox's language.
function Find-Folder([string]$Mailbox, [string]$Type) {
    $found = Get-MailboxFolderStatistics -Identity $Mailbox -FolderScope $Type |
        Where-Object { $_.FolderType -eq $Type } | Select-Object -First 1
    if ($null -eq $found) { throw ($Mailbox + ': no folder of type ' + $Type) }
    return $Mailbox + ':' + $found.FolderPath.Replace('/', '\').Replace([string][char]63743, '/')
}

# Editor of the folder: reads, creates, changes and removes items; cannot change the folder or its permissions.
function Grant-Folder([string]$Mailbox, [string]$Type) {
    $path = Find-Folder $Mailbox $Type
    $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
    if ($null -eq $entry) {
        Save-Before 'folder' $Mailbox $Type ''
        Add-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor | Out-Null
        return
    }
    $before = $entry.AccessRights -join ','
    if (@('Editor', 'PublishingEditor', 'Owner') -contains $before) { return }
    Save-Before 'folder' $Mailbox $Type $before
    Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor | Out-Null
}

# Send As: mail from the CRM leaves with the user as its sender.
function Grant-SendAs([string]$Mailbox) {
    $object = (Get-Mailbox -Identity $Mailbox).DistinguishedName
    $entries = @(Get-ADPermission -Identity $object -User $Service | Where-Object { $_.ExtendedRights -like 'Send-As' })
    if (@($entries | Where-Object { $_.Deny -eq $true }).Count -gt 0) {
        throw ($Mailbox + ': Send As is denied by an entry; find out why before you remove it')
    }
    if ($entries.Count -gt 0) { return }
    Save-Before 'send-as' $Mailbox 'SendAs' ''
    Add-ADPermission -Identity $object -User $Service -ExtendedRights 'Send As' | Out-Null
}

# Exchange Web Services for one mailbox. The organisation's own switch is left to you.
function Enable-Ews([string]$Mailbox) {
    if ((Get-OrganizationConfig).EwsEnabled -eq $false) {
        throw ($Mailbox + ': EWS is off for the whole organisation; to allow it: Set-OrganizationConfig -EwsEnabled $true')
    }
    if ((Get-CASMailbox -Identity $Mailbox).EwsEnabled -ne $false) { return }
    Save-Before 'ews' $Mailbox 'EwsEnabled' 'False'
    Set-CASMailbox -Identity $Mailbox -EwsEnabled $true
}

# ---- what is missing ----
# anna@example.test: the calendar cannot be read; the calendar cannot be written to
Step { Grant-Folder 'anna@example.test' 'Calendar' }
# anna@example.test: the tasks cannot be read; the tasks cannot be written to
Step { Grant-Folder 'anna@example.test' 'Tasks' }
# anna@example.test: mail cannot be sent as this user
Step { Grant-SendAs 'anna@example.test' }
# bob@example.test: EWS is switched off
Step { Enable-Ews 'bob@example.test' }
# bob@example.test: the calendar cannot be written to
Step { Grant-Folder 'bob@example.test' 'Calendar' }
# bob@example.test: mail cannot be sent as this user
Step { Grant-SendAs 'bob@example.test' }
# o'brien@example.test: the calendar cannot be read; the calendar cannot be written to
Step { Grant-Folder 'o''brien@example.test' 'Calendar' }
# o'brien@example.test: the tasks cannot be read; the tasks cannot be written to
Step { Grant-Folder 'o''brien@example.test' 'Tasks' }
# o'brien@example.test: mail cannot be sent as this user
Step { Grant-SendAs 'o''brien@example.test' }
if ($script:Failed -gt 0) { Write-Warning ([string]$script:Failed + ' steps failed; the others are done. Run it again when mended.') }
} finally { $global:ErrorActionPreference = $Preference }
